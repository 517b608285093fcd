"""A Django application in one file, with the ORM on SQLite; nothing in it knows our agent."""

import json
import os
import sys
import threading

import django
from django.conf import settings

port, diary, database = int(sys.argv[1]), open(sys.argv[2], "a"), sys.argv[3]
settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not one",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["scout_apm.django", "django.contrib.contenttypes", "django.contrib.auth"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"p.html": "<p>{{ n }}</p>"})]},
    }],
    SCOUT_MONITOR=True,
    SCOUT_NAME=os.environ["SCOUT_NAME"],
    LOGGING_CONFIG=None,
)
django.setup()

import scout_apm.api  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402

lock = threading.Lock()


def note(**did):
    with lock:
        diary.write(json.dumps(did) + "\n")
        diary.flush()


def users(request):
    count = len(list(User.objects.filter(username="s3cret")))
    scout_apm.api.Context.add("n", request.GET.get("n"))
    note(endpoint="users", selects=1, n=request.GET.get("n"))
    return render(request, "p.html", {"n": count})


def create(request):
    user = User.objects.create(username="u%s" % request.GET["n"])
    user.delete()
    note(endpoint="create", inserts=1)
    return HttpResponse("done")


def boom(request):
    note(endpoint="boom", error=1)
    raise ValueError("boom")


def job(request):
    @scout_apm.api.BackgroundTransaction("cleanup")
    def cleanup():
        User.objects.count()

    thread = threading.Thread(target=cleanup)
    thread.start()
    thread.join()
    note(endpoint="job", job=1)
    return HttpResponse("done")


urlpatterns = [
    path("users/", users, name="users"),
    path("create/", create),
    path("boom/", boom),
    path("job/", job),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


call_command("migrate", verbosity=0, run_syncdb=True)
server = ThreadedWSGIServer(("127.0.0.1", port), Quiet)
server.set_app(get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
server.shutdown()
