/*
 * A small program that shows scoutcore from C: requests, an N+1, an error, a job.
 *
 *     cc -std=c11 app.c -o app $(pkg-config --cflags --libs scoutcore) && ./app
 *
 * Payload files go to ./scout-data.
 */
#define _POSIX_C_SOURCE 200809L

#include "scout_trace.h"

#include <time.h>

static void work_for(long microseconds)
{
    struct timespec pause = {0, microseconds * 1000};
    nanosleep(&pause, NULL);
}

static void query(const char *sql, int rows)
{
    trace_scope_t scope;
    trace_enter(&scope, "SQL/Query");
    work_for(200);
    scout_tag_t tags[] = {TRACE_TEXT("db.statement", sql), TRACE_INT("db.rows_returned", rows)};
    trace_leave(&scope, tags, 2);
}

static void orders_index(void)
{
    trace_scope_t request;
    trace_enter(&request, "Controller/orders/index");
    trace_tag_request("path", "/orders");
    query("SELECT id FROM orders WHERE customer = 'ada'", 12);
    for (int order = 1; order <= 12; order++) { /* one query a row: an N+1 */
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT * FROM items WHERE order_id = %d", order);
        query(sql, 1);
    }
    trace_leave(&request, NULL, 0);
}

static void orders_broken(void)
{
    trace_scope_t request;
    trace_enter(&request, "Controller/orders/broken");
    trace_error("DatabaseError", "no such column: nothing");
    trace_leave(&request, NULL, 0);
}

static void nightly_report(void)
{
    trace_scope_t job, call;
    trace_enter(&job, "Job/reports/nightly");
    trace_enter(&call, "HTTP/GET");
    work_for(2000);
    scout_tag_t url = TRACE_TEXT("url", "https://rates.example/eur");
    trace_leave(&call, &url, 1);
    trace_leave(&job, NULL, 0);
}

int main(void)
{
    trace_open("{\"name\":\"Example\",\"data_dir\":\"scout-data\"}");
    for (int i = 0; i < 20; i++)
        orders_index();
    orders_broken();
    nightly_report();
    printf("flush: %s\n", scout_status_name(scout_flush(trace_core, 2000)));
    trace_print_log(stdout);
    trace_close(2000);
    return 0;
}
