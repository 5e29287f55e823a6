/*
 * The task `my-task`: each record with its number of bytes.
 *
 * It shows what most tasks need: an argument, rows with columns, a record that is bad, and records that are held and
 * answered together, as a bulk request to a server would be. Take out what you do not need.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simplegrid.h"

/* A record that waits for its answer. */
typedef struct {
    uint64_t record;
    uint8_t *text;
    size_t len;
} waiting;

typedef struct {
    sg_host host; /* the struct is ours to copy; its functions live until destroy */
    waiting *waiting;
    size_t held, bulk;
} task;

static sg_bytes manifest(void) {
    return SG_TEXT("{\"package\":\"my-task\",\"version\":\"0.1.0\",\"api\":\"c\",\"tasks\":[{"
                   "\"name\":\"my-task\",\"output\":\"rows\","
                   "\"args\":[{\"name\":\"bulk\",\"kind\":\"int\",\"optional\":true}],"
                   "\"columns\":[{\"name\":\"text\",\"kind\":\"text\",\"nullable\":false},"
                   "{\"name\":\"bytes\",\"kind\":\"int\",\"nullable\":false}]}]}");
}

static const void *extension(sg_bytes id) {
    (void)id;
    return NULL;
}

static int32_t prepare(sg_bytes name, const sg_pair *args, size_t n, const sg_host *host) {
    (void)name, (void)args, (void)n, (void)host;
    return SG_OK;
}

static void *refuse(const sg_host *host, sg_bytes message) {
    host->done(host->ctx, 0, SG_FATAL, message);
    return NULL;
}

static int is(sg_bytes bytes, const char *text) {
    return bytes.len == strlen(text) && memcmp(bytes.ptr, text, bytes.len) == 0;
}

static void *create(sg_bytes name, const sg_pair *args, size_t n, const sg_host *host) {
    (void)name;
    size_t bulk = 100;
    for (size_t i = 0; i < n; i++) {
        char number[20] = "";
        if (!is(args[i].key, "bulk")) return refuse(host, SG_TEXT("my-task knows one argument: bulk"));
        if (args[i].value.len < sizeof number) memcpy(number, args[i].value.ptr, args[i].value.len);
        char *end = number;
        bulk = strtoul(number, &end, 10);
        if (*end || end == number || bulk == 0) return refuse(host, SG_TEXT("bulk must be a number, and at least 1"));
    }
    task *made = calloc(1, sizeof *made);
    if (!made) return refuse(host, SG_TEXT("out of memory"));
    made->host = *host;
    made->bulk = bulk;
    return made;
}

/* Answers all records that are held. What is emitted before `done` belongs to that record. */
static int32_t answer(task *task) {
    const sg_host *host = &task->host;
    for (size_t i = 0; i < task->held; i++) {
        waiting *next = &task->waiting[i];
        char number[24];
        int digits = snprintf(number, sizeof number, "%zu", next->len);
        sg_bytes cells[] = {{next->text, next->len}, {(const uint8_t *)number, (size_t)digits}};
        int32_t status = host->emit(host->ctx, cells, 2);
        host->done(host->ctx, next->record, status, SG_TEXT("the row is too large"));
        free(next->text);
    }
    task->held = 0;
    return SG_OK;
}

static int32_t handle(void *state, uint64_t record, sg_bytes line) {
    task *task = state;
    const sg_host *host = &task->host;
    if (line.len == 0) {
        host->done(host->ctx, record, SG_REJECT, SG_TEXT("the record is empty"));
        return SG_REJECT;
    }
    waiting *more = realloc(task->waiting, (task->held + 1) * sizeof *more);
    uint8_t *text = malloc(line.len);
    if (more) task->waiting = more;
    if (!more || !text) {
        free(text);
        host->done(host->ctx, record, SG_RETRY, SG_TEXT("out of memory"));
        return SG_RETRY;
    }
    memcpy(text, line.ptr, line.len); /* the record's bytes do not outlive this call */
    task->waiting[task->held++] = (waiting){record, text, line.len};
    if (task->held < task->bulk) return SG_HELD;
    answer(task);
    return SG_HELD; /* it has been finished, as all that were held */
}

static int32_t flush(void *state, bool last) {
    (void)last;
    return answer(state);
}

static void destroy(void *state) {
    task *task = state;
    for (size_t i = 0; i < task->held; i++) free(task->waiting[i].text);
    free(task->waiting);
    free(task);
}

SG_EXPORT const sg_plugin simplegrid_plugin_v1 = {SG_ABI, manifest, extension, prepare,
                                                  create, handle,   flush,     destroy};
