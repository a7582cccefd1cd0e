/* Loaded between the program and MPI (LD_PRELOAD): writes down what a rank sends
 * to others, and changes it, or what it receives, where a test says so.  Calls
 * on communicators of one process are let through and not counted: what stays in
 * a silo is nobody's business.  So are messages of ScaLAPACK that do not lie in
 * one piece.
 *
 *   TAP_RECORD  PREFIX: every call appends a header (struct head below) and the
 *               bytes that this rank sent to PREFIX.RANK. A call in which the
 *               rank sends nothing has a header alone; so has MPI_Finalize.
 *   TAP_RULES   rules, separated by ';', each of words:
 *
 *     RANK CALL BYTES NTH SIDE ACTION ARGUMENTS
 *
 *     RANK    in MPI_COMM_WORLD, or * for all
 *     CALL    Allreduce, Allgather, Allgatherv, Bcast, Reduce_scatter, Send,
 *             Recv
 *     BYTES   what one rank sends in it (Bcast, Recv: the message)
 *     NTH     from 1, among this rank's calls with this name and size
 *     SIDE    send  what goes out is changed; the program keeps what it had
 *             own   the program's own buffer is changed, then sent
 *             recv  what has arrived is changed (Allgather: all ranks' parts,
 *                   one after the other; Reduce_scatter: this rank's part)
 *     ACTION  xor OFFSET HEX     bytes from there on
 *             put OFFSET HEX
 *             add32 WORD VALUE   modulo 2^32 - 5
 *             add61 WORD VALUE   modulo 2^61 - 1
 *             again OFFSET J     what this rank sent in its Jth such call
 *             copy OFFSET FROM   as many bytes as BYTES, from there in the message
 *             file OFFSET PATH   what the file holds
 *   TAP_FIRED   file that gets a line per rule that was followed: RANK NUMBER
 */
#include <fcntl.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct head {
    char call[16];
    uint32_t bytes;   /* of the message: count x size */
    uint32_t sent;    /* bytes that follow: bytes, or 0 */
    uint32_t size;    /* of an element */
    uint32_t ranks;   /* of the communicator */
    uint32_t in_line; /* 1: send and receive buffer are one */
    uint32_t nth;     /* among calls with this name and bytes */
};

enum { MOST_RULES = 32, MOST_KINDS = 512 };

typedef struct {
    int rank; /* -1: all */
    char call[16], side[8], action[8], text[512];
    uint32_t bytes, nth;
    long long at;
} rule;

typedef struct {
    char call[16];
    uint32_t bytes, seen;
    uint8_t **sent; /* (seen) what went out, if a rule may ask for it */
} kind;

static int g_rank = -1, g_record = -1, g_fired = -1, g_n_rules, g_n_kinds;
static rule g_rule[MOST_RULES];
static kind g_kind[MOST_KINDS];

static void fail(const char *what, const char *which)
{
    fprintf(stderr, "tap: %s: %s\n", what, which);
    MPI_Abort(MPI_COMM_WORLD, 99);
}

/* ---- set-up --------------------------------------------------------------- */

static void read_rule(const char *text)
{
    rule *r = &g_rule[g_n_rules];
    char rank[16];
    if (g_n_rules == MOST_RULES ||
        sscanf(text, " %15s %15s %u %u %7s %7s %lld %511s", rank, r->call,
               &r->bytes, &r->nth, r->side, r->action, &r->at, r->text) != 8)
        fail("no rule", text);
    r->rank = strcmp(rank, "*") ? atoi(rank) : -1;
    g_n_rules++;
}

static int open_for(const char *name, int rank)
{
    char path[4096];
    const char *at = getenv(name);
    if (!at)
        return -1;
    snprintf(path, sizeof path, rank < 0 ? "%s" : "%s.%d", at, rank);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("cannot write", path);
    return fd;
}

int MPI_Init(int *argc, char ***argv)
{
    int rc = PMPI_Init(argc, argv);
    char *rules = getenv("TAP_RULES");
    PMPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
    g_record = open_for("TAP_RECORD", g_rank);
    g_fired = open_for("TAP_FIRED", -1);
    if (rules) {
        rules = strdup(rules);
        for (char *t = strtok(rules, ";"); t; t = strtok(NULL, ";"))
            read_rule(t);
        free(rules);
    }
    return rc;
}

/* ---- recording -------------------------------------------------------------- */

static void write_all(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k <= 0)
            fail("cannot write", "record");
        p += k;
        n -= (size_t)k;
    }
}

/* Is a rule about an earlier call of this kind sent again? */
static int is_kept(const kind *k)
{
    for (int i = 0; i < g_n_rules; i++)
        if (!strcmp(g_rule[i].action, "again") &&
            !strcmp(g_rule[i].call, k->call) && g_rule[i].bytes == k->bytes)
            return 1;
    return 0;
}

static kind *count(const char *call, uint32_t bytes)
{
    kind *k = g_kind;
    while (k < g_kind + g_n_kinds &&
           (strcmp(k->call, call) || k->bytes != bytes))
        k++;
    if (k == g_kind + g_n_kinds) {
        if (g_n_kinds++ == MOST_KINDS)
            fail("too many kinds of calls", call);
        snprintf(k->call, sizeof k->call, "%s", call);
        k->bytes = bytes;
    }
    k->seen++;
    return k;
}

static void record(const kind *k, const void *sent, uint32_t size, int ranks,
                   int in_line)
{
    struct head h = {.bytes = k->bytes,
                     .sent = sent ? k->bytes : 0,
                     .size = size,
                     .ranks = (uint32_t)ranks,
                     .in_line = (uint32_t)in_line,
                     .nth = k->seen};
    memcpy(h.call, k->call, sizeof h.call);
    if (g_record < 0)
        return;
    write_all(g_record, &h, sizeof h);
    write_all(g_record, sent, h.sent);
}

/* ---- changing ---------------------------------------------------------------- */

static size_t unhex(uint8_t *out, const char *hex)
{
    size_t n = strlen(hex) / 2;
    unsigned v;
    for (size_t i = 0; i < n; i++) {
        if (sscanf(hex + 2 * i, "%2x", &v) != 1)
            fail("not hexadecimal", hex);
        out[i] = (uint8_t)v;
    }
    return n;
}

static void add_word(const rule *r, uint8_t *data, size_t size, uint64_t p)
{
    uint64_t v = 0;
    memcpy(&v, data, size);
    v = (uint64_t)(((unsigned __int128)v + strtoull(r->text, NULL, 0)) % p);
    memcpy(data, &v, size);
}

static void fit(const rule *r, size_t at, size_t n, size_t size)
{
    if (at + n > size)
        fail("beyond the message", r->text);
}

static void follow(const rule *r, const kind *k, uint8_t *data, size_t size)
{
    uint8_t byte[4096];
    size_t at = (size_t)r->at, n = 0;
    if (!strcmp(r->action, "add32")) {
        fit(r, 4 * at, 4, size);
        add_word(r, data + 4 * at, 4, 4294967291u);
        return;
    }
    if (!strcmp(r->action, "add61")) {
        fit(r, 8 * at, 8, size);
        add_word(r, data + 8 * at, 8, (UINT64_C(1) << 61) - 1);
        return;
    }
    if (!strcmp(r->action, "again")) {
        uint32_t j = (uint32_t)atoi(r->text);
        if (j < 1 || j >= k->seen)
            fail("no such call yet", r->text);
        fit(r, at, k->bytes, size);
        memcpy(data + at, k->sent[j - 1], k->bytes);
        return;
    }
    if (!strcmp(r->action, "copy")) {
        fit(r, at, k->bytes, size);
        fit(r, (size_t)atoi(r->text), k->bytes, size);
        memmove(data + at, data + atoi(r->text), k->bytes);
        return;
    }
    if (!strcmp(r->action, "file")) {
        FILE *f = fopen(r->text, "rb");
        n = f ? fread(byte, 1, sizeof byte, f) : 0;
        if (!f || n == 0)
            fail("cannot read", r->text);
        fclose(f);
    } else {
        n = unhex(byte, r->text);
    }
    fit(r, at, n, size);
    for (size_t i = 0; i < n; i++)
        data[at + i] =
            !strcmp(r->action, "xor") ? data[at + i] ^ byte[i] : byte[i];
}

static int holds(const rule *r, const kind *k, const char *side)
{
    return (r->rank < 0 || r->rank == g_rank) && !strcmp(r->call, k->call) &&
           r->bytes == k->bytes && r->nth == k->seen && !strcmp(r->side, side);
}

/* Follow the rules for this side of this call. */
static void change(const kind *k, const char *side, void *data, size_t size)
{
    for (int i = 0; i < g_n_rules; i++) {
        if (!holds(&g_rule[i], k, side))
            continue;
        follow(&g_rule[i], k, data, size);
        if (g_fired >= 0)
            dprintf(g_fired, "%d %d\n", g_rank, i);
    }
}

/* A copy of what the program sends, as it shall go out; the caller frees it.
 * NULL: this rank sends nothing. */
static void *outgoing(const char *call, const void *data, uint32_t bytes,
                      uint32_t size, int ranks, int in_line, kind **which)
{
    kind *k = *which = count(call, bytes);
    uint8_t *copy = NULL;
    if (data) {
        change(k, "own", (void *)(uintptr_t)data, bytes);
        copy = malloc(bytes ? bytes : 1);
        if (!copy)
            fail("no memory", call);
        memcpy(copy, data, bytes);
        change(k, "send", copy, bytes);
    }
    record(k, copy, size, ranks, in_line);
    if (is_kept(k)) {
        k->sent = realloc(k->sent, k->seen * sizeof *k->sent);
        k->sent[k->seen - 1] = calloc(bytes ? bytes : 1, 1);
        if (copy)
            memcpy(k->sent[k->seen - 1], copy, bytes);
    }
    return copy;
}

static int ranks_of(MPI_Comm comm)
{
    int n;
    PMPI_Comm_size(comm, &n);
    return n;
}

static uint32_t size_of(MPI_Datatype type)
{
    int n;
    PMPI_Type_size(type, &n);
    return (uint32_t)n;
}

/* Lies it in one piece? */
static int is_plain(MPI_Datatype type)
{
    int ints, addresses, types, combiner;
    PMPI_Type_get_envelope(type, &ints, &addresses, &types, &combiner);
    return combiner == MPI_COMBINER_NAMED;
}

/* ---- calls --------------------------------------------------------------------- */

int MPI_Allreduce(const void *send, void *recv, int n, MPI_Datatype type,
                  MPI_Op op, MPI_Comm comm)
{
    int ranks = ranks_of(comm), in_line = send == MPI_IN_PLACE;
    uint32_t size = size_of(type), bytes = (uint32_t)n * size;
    kind *k;
    if (ranks < 2 || !is_plain(type))
        return PMPI_Allreduce(send, recv, n, type, op, comm);
    void *copy = outgoing("Allreduce", in_line ? recv : send, bytes, size,
                          ranks, in_line, &k);
    int rc = PMPI_Allreduce(copy, recv, n, type, op, comm);
    change(k, "recv", recv, bytes);
    free(copy);
    return rc;
}

int MPI_Reduce_scatter(const void *send, void *recv, const int *counts,
                       MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    int ranks = ranks_of(comm), rank, n = 0;
    uint32_t size = size_of(type);
    kind *k;
    if (ranks < 2)
        return PMPI_Reduce_scatter(send, recv, counts, type, op, comm);
    PMPI_Comm_rank(comm, &rank);
    for (int r = 0; r < ranks; r++)
        n += counts[r];
    void *copy = outgoing("Reduce_scatter", send, (uint32_t)n * size, size,
                          ranks, 0, &k);
    int rc = PMPI_Reduce_scatter(copy, recv, counts, type, op, comm);
    change(k, "recv", recv, (size_t)counts[rank] * size);
    free(copy);
    return rc;
}

int MPI_Allgather(const void *send, int n, MPI_Datatype type, void *recv,
                  int n_recv, MPI_Datatype type_recv, MPI_Comm comm)
{
    int ranks = ranks_of(comm);
    uint32_t size = size_of(type), bytes = (uint32_t)n * size;
    kind *k;
    if (ranks < 2)
        return PMPI_Allgather(send, n, type, recv, n_recv, type_recv, comm);
    void *copy = outgoing("Allgather", send, bytes, size, ranks, 0, &k);
    int rc = PMPI_Allgather(copy, n, type, recv, n_recv, type_recv, comm);
    change(k, "recv", recv, (size_t)ranks * bytes);
    free(copy);
    return rc;
}

int MPI_Allgatherv(const void *send, int n, MPI_Datatype type, void *recv,
                   const int *count, const int *at, MPI_Datatype type_recv,
                   MPI_Comm comm)
{
    int ranks = ranks_of(comm);
    uint32_t size = size_of(type), bytes = (uint32_t)n * size;
    size_t all = 0;
    kind *k;
    if (ranks < 2)
        return PMPI_Allgatherv(send, n, type, recv, count, at, type_recv, comm);
    void *copy = outgoing("Allgatherv", send, bytes, size, ranks, 0, &k);
    int rc = PMPI_Allgatherv(copy, n, type, recv, count, at, type_recv, comm);
    for (int r = 0; r < ranks; r++)
        if (all < (size_t)(at[r] + count[r]) * size)
            all = (size_t)(at[r] + count[r]) * size;
    change(k, "recv", recv, all);
    free(copy);
    return rc;
}

int MPI_Bcast(void *data, int n, MPI_Datatype type, int root, MPI_Comm comm)
{
    int ranks = ranks_of(comm), rank, rc;
    uint32_t size = size_of(type), bytes = (uint32_t)n * size;
    kind *k;
    if (ranks < 2 || !is_plain(type))
        return PMPI_Bcast(data, n, type, root, comm);
    PMPI_Comm_rank(comm, &rank);
    void *copy = outgoing("Bcast", rank == root ? data : NULL, bytes, size,
                          ranks, 0, &k);
    rc = PMPI_Bcast(copy ? copy : data, n, type, root, comm);
    if (!copy)
        change(k, "recv", data, bytes);
    free(copy);
    return rc;
}

int MPI_Send(const void *data, int n, MPI_Datatype type, int to, int tag,
             MPI_Comm comm)
{
    uint32_t size = size_of(type), bytes = (uint32_t)n * size;
    kind *k;
    if (!is_plain(type))
        return PMPI_Send(data, n, type, to, tag, comm);
    void *copy = outgoing("Send", data, bytes, size, ranks_of(comm), 0, &k);
    int rc = PMPI_Send(copy, n, type, to, tag, comm);
    free(copy);
    return rc;
}

int MPI_Recv(void *data, int n, MPI_Datatype type, int from, int tag,
             MPI_Comm comm, MPI_Status *status)
{
    uint32_t size = size_of(type), bytes = (uint32_t)n * size;
    kind *k;
    if (!is_plain(type))
        return PMPI_Recv(data, n, type, from, tag, comm, status);
    (void)outgoing("Recv", NULL, bytes, size, ranks_of(comm), 0, &k);
    int rc = PMPI_Recv(data, n, type, from, tag, comm, status);
    change(k, "recv", data, bytes);
    return rc;
}

int MPI_Finalize(void)
{
    record(count("Finalize", 0), NULL, 0, 0, 0);
    if (g_record >= 0)
        close(g_record);
    if (g_fired >= 0)
        close(g_fired);
    return PMPI_Finalize();
}
