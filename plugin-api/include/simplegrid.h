/*
 * What a SimpleGrid plugin in C (or C++, or Zig) is written against.
 *
 * The plugin is a shared library with one static `simplegrid_plugin_v1`. This header says in C what
 * `src/abi.rs` says in Rust; the two change together. What `docs/plugin-guide.md` says holds here too.
 *
 * Bytes that a function is given are valid until it returns, unless it says otherwise. All calls for one
 * state come from one thread, one after the other. No function may unwind (throw, longjmp) into its caller,
 * and no callback of the host calls back into the plugin.
 */
#ifndef SIMPLEGRID_H
#define SIMPLEGRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The number in `sg_plugin.abi`. It stays 1: new abilities come as named extensions. */
#define SG_ABI 1u

/* How a call ended. */
enum {
    SG_OK = 0,      /* done */
    SG_HELD = 1,    /* `handle` only: the record stays open until `done` finishes it */
    SG_REJECT = -1, /* the record is bad: it fails and is not tried again */
    SG_RETRY = -2,  /* the record may be tried again, a bounded number of times */
    SG_FATAL = -3,  /* the task cannot go on */
    SG_PANIC = -4   /* the task panicked and is gone */
};

/* The levels of `log`. */
enum { SG_ERROR = 1, SG_WARN = 2, SG_INFO = 3, SG_DEBUG = 4, SG_TRACE = 5 };

/* Bytes that someone else owns. A null `ptr` is NULL: no value, which is not the same as no bytes. */
typedef struct {
    const uint8_t *ptr;
    size_t len;
} sg_bytes;

/* One argument, `key=value`, both UTF-8. */
typedef struct {
    sg_bytes key;
    sg_bytes value;
} sg_pair;

/*
 * What the host does for a plugin. Copy the struct: `ctx` and the functions stay valid until `destroy` has
 * returned (for `prepare`, and for a `create` that fails: until it has returned). Call them only on the
 * thread, and during the run, of a call of the same state, except those that say "any thread".
 */
typedef struct {
    void *ctx; /* the host's own; pass it to every function */
    /* Adds an output row of `n` cells, one for each column of the manifest; copied before it returns. If it
       is not SG_OK, the host refused the row: return that status for the record. */
    int32_t (*emit)(void *ctx, const sg_bytes *cells, size_t n);
    /* Adds a raw output line, without its terminator; otherwise like `emit`. */
    int32_t (*line)(void *ctx, sg_bytes line);
    /* The fields of the record in hand, and how many. Valid until `handle` or `key` returns. */
    size_t (*fields)(void *ctx, const sg_bytes **fields);
    /* Finishes a held record, or gives the message of the status that the current call is about to return:
       for the record in hand, or 0 in `prepare`, `create`, `key` and for `flush` itself. */
    void (*done)(void *ctx, uint64_t record, int32_t status, sg_bytes message);
    /* Writes to the log. Any thread, as long as the process lives; `ctx` may be null. */
    void (*log)(void *ctx, uint32_t level, sg_bytes target, sg_bytes message);
    /* Whether the grid is shutting down. Any thread. */
    bool (*stopping)(void *ctx);
    /* A named ability that this table does not have, or null. Valid as long as the process lives. */
    const void *(*extension)(void *ctx, sg_bytes id);
} sg_host;

/* What a plugin does for the host. No function may be null. */
typedef struct {
    uint32_t abi; /* SG_ABI */
    /* What the library contains, as JSON; valid as long as the process lives. */
    sg_bytes (*manifest)(void);
    /* A named ability that this table does not have ("partition/1"), or null. */
    const void *(*extension)(sg_bytes id);
    /* Once per node, in a process of its own, before any worker. */
    int32_t (*prepare)(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host);
    /* Makes a task: its state, or null with a message given to `done`. An empty name means the only task. */
    void *(*create)(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host);
    /* Runs the task over one record. `record` is opaque and never used twice for one state. */
    int32_t (*handle)(void *state, uint64_t record, sg_bytes line);
    /* Asks the task to finish what it holds; with `last`, no record follows. What one flush emits and finishes
       counts together, once it has returned SG_OK. */
    int32_t (*flush)(void *state, bool last);
    /* Frees the state. */
    void (*destroy)(void *state);
} sg_plugin;

/* The extension "partition/1". */
typedef struct {
    /* The id of the partitioner of that name, or -1. An empty name means the only one. */
    int32_t (*find)(sg_bytes name);
    /* Calls `put` once with the record's key and returns SG_OK, or returns an error, with its message given
       to `done` as record 0. One thread at a time, but not always the same. */
    int32_t (*key)(int32_t id, sg_bytes line, const sg_host *host, void *sink,
                   void (*put)(void *sink, sg_bytes key));
} sg_partition_v1;

/* Put before the definition of `simplegrid_plugin_v1`. */
#if defined(__GNUC__) || defined(__clang__)
#define SG_EXPORT __attribute__((visibility("default"), used))
#else
#define SG_EXPORT
#endif

/* The plugin itself. */
extern const sg_plugin simplegrid_plugin_v1;

/* The bytes of a string literal. */
#define SG_TEXT(literal) ((sg_bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

#ifdef __cplusplus
}
#endif

#endif
