/*
 * A plugin in C of which tests make several builds. Each row ends with cells that name the build, as many as it
 * has columns; a record "until FILE" waits for that file first. With HANGS, the task never comes to be.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simplegrid.h"

#define GATE "until "

typedef struct {
    sg_host host;
} state;

static sg_bytes manifest(void) {
    return SG_TEXT(MANIFEST);
}

static const void *extension(sg_bytes id) {
    (void)id;
    return NULL;
}

static int32_t prepare(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) {
    (void)task, (void)args, (void)n, (void)host;
    return SG_OK;
}

static void *create(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host) {
#ifdef HANGS
    for (;;) pause();
#endif
    (void)task, (void)args, (void)n;
    state *made = calloc(1, sizeof *made);
    if (made) made->host = *host;
    return made;
}

static void wait_for(sg_bytes path) {
    char file[4096] = {0};
    if (path.len >= sizeof file) return;
    memcpy(file, path.ptr, path.len);
    while (access(file, F_OK) != 0) usleep(10000);
}

static int32_t handle(void *opaque, uint64_t record, sg_bytes line) {
    const sg_host *host = &((state *)opaque)->host;
    const size_t gate = sizeof GATE - 1;
    sg_bytes cells[COLUMNS];
    (void)record;
    if (line.len > gate && memcmp(line.ptr, GATE, gate) == 0)
        wait_for((sg_bytes){line.ptr + gate, line.len - gate});
    cells[0] = line;
    for (int at = 1; at < COLUMNS; at++) cells[at] = SG_TEXT(BUILD);
    return host->emit(host->ctx, cells, COLUMNS);
}

static int32_t flush(void *opaque, bool last) {
    (void)opaque, (void)last;
    return SG_OK;
}

SG_EXPORT const sg_plugin simplegrid_plugin_v1 = {SG_ABI, manifest, extension, prepare,
                                                  create, handle,   flush,     free};
