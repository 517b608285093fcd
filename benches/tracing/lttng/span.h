/* The event of lttng.c: what a span is, its end being the event's own time. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./span.h"

#if !defined(SPAN_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define SPAN_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(
    bench, span,
    LTTNG_UST_TP_ARGS(uint64_t, trace_id, uint64_t, span_id, uint64_t, parent_id, uint64_t, start,
                      uint32_t, operation),
    LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, trace_id, trace_id)
                        lttng_ust_field_integer(uint64_t, span_id, span_id)
                        lttng_ust_field_integer(uint64_t, parent_id, parent_id)
                        lttng_ust_field_integer(uint64_t, start, start)
                        lttng_ust_field_integer(uint32_t, operation, operation)))

LTTNG_UST_TRACEPOINT_EVENT(
    bench, span_with_attributes,
    LTTNG_UST_TP_ARGS(uint64_t, trace_id, uint64_t, span_id, uint64_t, parent_id, uint64_t, start,
                      uint32_t, operation, const char *, system, const char *, result),
    LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, trace_id, trace_id)
                        lttng_ust_field_integer(uint64_t, span_id, span_id)
                        lttng_ust_field_integer(uint64_t, parent_id, parent_id)
                        lttng_ust_field_integer(uint64_t, start, start)
                        lttng_ust_field_integer(uint32_t, operation, operation)
                        lttng_ust_field_string(db_system, system)
                        lttng_ust_field_string(cache_result, result)))

#endif

#include <lttng/tracepoint-event.h>
