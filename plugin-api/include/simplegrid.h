/*
 * The header that SimpleGrid plugins in C (or C++, or Zig) are written against.
 *
 * A plugin is a shared library with one static `simplegrid_plugin_v1`. This header says in C what `src/abi.rs`
 * says in Rust; the two change together. Everything in `docs/plugin-guide.md` holds here, too.
 *
 * Bytes that a function is given are valid until it returns, unless its comment says otherwise. All calls for
 * one state come from one thread, one after the other. No function may unwind (throw, longjmp) into its caller,
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
    SG_FATAL = -3,  /* the task cannot continue */
    SG_PANIC = -4   /* the task panicked and is gone */
};

/* The levels of `log`. */
enum { SG_ERROR = 1, SG_WARN = 2, SG_INFO = 3, SG_DEBUG = 4, SG_TRACE = 5 };

/* Borrowed bytes. A null `ptr` is NULL: no value, which is not the same as no bytes. */
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
 * returned; for `prepare`, and for a `create` that fails, only until that call itself has returned. Unless a
 * function says "any thread", call it only on the thread of a call for the same state, and while that call runs.
 */
typedef struct {
    void *ctx; /* the host's own; pass it to every function */
    /* Adds an output row of `n` cells, one for each column of the manifest. The host copies them before it
       returns. If the result is not SG_OK, the host refused the row: return that status for the record. */
    int32_t (*emit)(void *ctx, const sg_bytes *cells, size_t n);
    /* Adds a raw output line, without its terminator; otherwise like `emit`. */
    int32_t (*line)(void *ctx, sg_bytes line);
    /* The fields of the record in hand; returns how many there are. Valid until `handle` or `key` returns. */
    size_t (*fields)(void *ctx, const sg_bytes **fields);
    /* Finishes a held record; or supplies the message for the status that the current call is about to return,
       for the record in hand, or for record 0 in `prepare`, `create`, `key` and for `flush` itself. */
    void (*done)(void *ctx, uint64_t record, int32_t status, sg_bytes message);
    /* Writes to the log. Any thread, for as long as the process lives; `ctx` may be null. */
    void (*log)(void *ctx, uint32_t level, sg_bytes target, sg_bytes message);
    /* Whether the grid is shutting down. Any thread. */
    bool (*stopping)(void *ctx);
    /* A named ability of the host that is not in this table, or null. Valid for as long as the process lives. */
    const void *(*extension)(void *ctx, sg_bytes id);
} sg_host;

/* What a plugin does for the host. No function may be null. */
typedef struct {
    uint32_t abi; /* SG_ABI */
    /* What the library contains, as JSON; valid for as long as the process lives. */
    sg_bytes (*manifest)(void);
    /* A named ability of the plugin that is not in this table ("partition/1", "batch/1"), or null. */
    const void *(*extension)(sg_bytes id);
    /* Prepares a task: called once per node, in a process of its own, before any worker starts. */
    int32_t (*prepare)(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host);
    /* Makes a task: returns its state, or else null, after giving a message to `done`. An empty name means the
       only task. */
    void *(*create)(sg_bytes task, const sg_pair *args, size_t n, const sg_host *host);
    /* Runs the task over one record. The number `record` is opaque, and never used twice for one state. */
    int32_t (*handle)(void *state, uint64_t record, sg_bytes line);
    /* Asks the task to finish what it holds; with `last`, no record will follow. What one flush emits and finishes
       counts as a whole, once it has returned SG_OK. */
    int32_t (*flush)(void *state, bool last);
    /* Frees the state. */
    void (*destroy)(void *state);
} sg_plugin;

/* The extension "partition/1". */
typedef struct {
    /* The id of the partitioner of that name, or -1. An empty name means the only one. */
    int32_t (*find)(sg_bytes name);
    /* Calls `put` once with the record's key and returns SG_OK; or gives a message to `done`, as record 0, and
       returns an error. One thread at a time, but not always the same one. */
    int32_t (*key)(int32_t id, sg_bytes line, const sg_host *host, void *sink,
                   void (*put)(void *sink, sg_bytes key));
} sg_partition_v1;

/* The extension "batch/1" of a plugin: many records in one call. For a record that it wants to run alone, the host
   uses `handle` of the plugin. */
typedef struct {
    /* The most records that the task takes in one call; with 0 or 1, one at a time. Asked once, after `create`. */
    uint32_t (*max)(void *state);
    /* Runs the task over `n` records, numbered from `first_record` on. During the call, `done` finishes each of them,
       or with SG_HELD keeps it open beyond the call; a row belongs to the record that is finished next. With SG_OK,
       all others are done, without rows. After an error, or if rows are left that belong to no record, those rows are
       dropped, and the records that are not finished are run one by one through `handle`. */
    int32_t (*handle)(void *state, uint64_t first_record, const sg_bytes *lines, size_t n);
} sg_batch_v1;

/* The extension "record-fields/1" of a host, which every host that knows "batch/1" has. */
typedef struct {
    /* The fields of `line`; returns how many there are. They stay valid until the call that asks for them returns. */
    size_t (*fields)(void *ctx, sg_bytes line, const sg_bytes **fields);
} sg_record_fields_v1;

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
