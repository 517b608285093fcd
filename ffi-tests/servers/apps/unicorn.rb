# frozen_string_literal: true

worker_processes 3
preload_app true
listen ENV.fetch("SOCKET")
