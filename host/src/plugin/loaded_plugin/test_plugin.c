/*
 * A plugin in C for the tests beside this file. Its task does what the record's first byte says.
 */
#include <stdlib.h>
#include <string.h>

#include "simplegrid.h"

#ifndef ABI
#define ABI SG_ABI
#endif
#ifndef FLUSH
#define FLUSH flush
#endif
#ifndef MANIFEST
#define MANIFEST                                                                                             \
    "{\"package\":\"test\",\"version\":\"1\",\"api\":\"c\",\"tasks\":[{\"name\":\"test\",\"output\":"        \
    "\"rows\",\"args\":[{\"name\":\"fail\",\"kind\":\"text\",\"optional\":true}],\"columns\":"               \
    "[{\"name\":\"a\",\"kind\":\"text\",\"nullable\":true},{\"name\":\"b\",\"kind\":\"text\","               \
    "\"nullable\":true}]}],\"partitioners\":[\"second\"]}"
#endif

typedef struct {
    sg_host host;
    uint64_t held;
} state;

static sg_bytes manifest(void) {
    return SG_TEXT(MANIFEST);
}

static int32_t find(sg_bytes name) {
    return name.len == 0 || (name.len == 6 && memcmp(name.ptr, "second", 6) == 0) ? 0 : -1;
}

static int32_t key(int32_t id, sg_bytes line, const sg_host *host, void *sink,
                   void (*put)(void *, sg_bytes)) {
    const sg_bytes *fields;
    (void)id, (void)line;
    if (host->fields(host->ctx, &fields) < 2) {
        host->done(host->ctx, 0, SG_REJECT, SG_TEXT("no second field"));
        return SG_REJECT;
    }
    put(sink, fields[1]);
    return SG_OK;
}

static const sg_partition_v1 partition = {find, key};

static const void *extension(sg_bytes id) {
    return id.len == 11 && memcmp(id.ptr, "partition/1", 11) == 0 ? &partition : NULL;
}

static int32_t prepare(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) {
    (void)task;
    if (n == 0) return SG_OK;
    host->done(host->ctx, 0, SG_RETRY, args[0].value);
    return SG_RETRY;
}

static void *create(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) {
    if (n > 0) {
        host->done(host->ctx, 0, SG_REJECT, args[0].value);
        return NULL;
    }
    if (task.len != 4) return NULL;
    state *made = calloc(1, sizeof *made);
    made->host = *host;
    return made;
}

static int32_t handle(void *opaque, uint64_t record, sg_bytes line) {
    state *task = opaque;
    const sg_host *host = &task->host;
    const sg_bytes *fields;
    switch (line.len ? line.ptr[0] : 0) {
    case 'h':
        task->held = record;
        return SG_HELD;
    case 'l':
        return host->line(host->ctx, line);
    case 'r':
        host->done(host->ctx, record, SG_REJECT, SG_TEXT("no good"));
        return SG_REJECT;
    case 's':
        return host->stopping(host->ctx) ? SG_RETRY : SG_OK;
    case '?':
        return 77;
    default: {
        size_t n = host->fields(host->ctx, &fields);
        sg_bytes cells[2] = {fields[n - 1], {NULL, 0}};
        return host->emit(host->ctx, cells, 2);
    }
    }
}

static int32_t flush(void *opaque, bool last) {
    state *task = opaque;
    const sg_bytes *fields;
    if (task->host.fields(task->host.ctx, &fields) != 0) return SG_FATAL;
    if (last) task->host.done(task->host.ctx, task->held, SG_OK, (sg_bytes){NULL, 0});
    return SG_OK;
}

SG_EXPORT const sg_plugin simplegrid_plugin_v1 = {ABI,    manifest, extension, prepare,
                                                  create, handle,   FLUSH,     free};
