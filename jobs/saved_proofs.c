#include "jobs/saved_proofs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* ---- in memory ----------------------------------------------------------------- */

static size_t signed_row(const cv_proofs *all)
{
    return (size_t)all->n_silos * CV_SIGNED_BYTES;
}

static size_t attested_row(const cv_proofs *all)
{
    return (size_t)all->n_silos * CV_SIG_BYTES;
}

static void grow(cv_proofs *all, int64_t n)
{
    if (n <= all->cap)
        return;
    size_t cap = (size_t)(n > 2 * all->cap ? n : 2 * all->cap);
    all->proof = cv_realloc(all->proof, cap, sizeof *all->proof);
    all->signature = cv_realloc(all->signature, cap, signed_row(all));
    all->attested = cv_realloc(all->attested, cap, sizeof *all->attested);
    all->attestation = cv_realloc(all->attestation, cap, attested_row(all));
    all->cap = (int64_t)cap;
}

/* Room for one more, empty. */
static cv_proof *append(cv_proofs *all)
{
    grow(all, all->n + 1);
    size_t at = (size_t)all->n++;
    memset(&all->proof[at], 0, sizeof *all->proof);
    memset(&all->attested[at], 0, sizeof *all->attested);
    memset(all->signature + at * signed_row(all), 0, signed_row(all));
    memset(all->attestation + at * attested_row(all), 0, attested_row(all));
    return &all->proof[at];
}

void cv_proofs_add(cv_proofs *all, cv_proof *p)
{
    while (all->n && all->proof[all->n - 1].round >= p->round)
        cv_proof_free(&all->proof[--all->n]);
    *append(all) = *p;
    memset(p, 0, sizeof *p);
}

int64_t cv_proofs_at(const cv_proofs *all, int64_t round)
{
    int64_t at = all->n ? round - all->proof[0].round : -1;
    return at >= 0 && at < all->n ? at : -1;
}

int cv_proofs_has_signatures(const cv_proofs *all, int64_t at)
{
    static const uint8_t none[CV_SIGNED_BYTES];
    return at >= 0 && memcmp(all->signature + (size_t)at * signed_row(all),
                             none, CV_SIGNED_BYTES) != 0;
}

void cv_proofs_free(cv_proofs *all)
{
    for (int64_t i = 0; i < all->n; i++)
        cv_proof_free(&all->proof[i]);
    free(all->proof);
    free(all->signature);
    free(all->attested);
    free(all->attestation);
    *all = (cv_proofs){.n_silos = all->n_silos};
}

/* ---- what stands where in the file ----------------------------------------------- */

/* Members of cv_proof that are digests, a data set each. */
static const struct {
    const char *name, *note;
    size_t offset, bytes;
} digest[] = {
    {"record",
     "Merkle root over the parts of a round's record, linked to the "
     "one before: what silos sign",
     offsetof(cv_proof, record), 32},
    {"previous", "record that the round followed", offsetof(cv_proof, previous),
     32},
    {"start_model", "digest of the model that the round went on from",
     offsetof(cv_proof, start_model), 32},
    {"start_state", "digest of all else that it went on from",
     offsetof(cv_proof, start_state), 32},
    {"roster", "digest of who took part, under which keys, from what",
     offsetof(cv_proof, roster), 32},
    {"transcript", "digest of commitments, sums, challenges, inner products",
     offsetof(cv_proof, transcript), 32},
    {"leaves",
     "of the tree: context, previous, roster, sums, data, model, "
     "server, ledger, plan, metrics, chain",
     offsetof(cv_proof, leaves), 32 * CV_PROOF_PARTS},
    {"data", "digest of /data/schema", offsetof(cv_proof, data), 32},
    {"model", "digest of the model after the round", offsetof(cv_proof, model),
     32},
    {"server", "digests of the server's state after the round",
     offsetof(cv_proof, server), 32 * CV_MAX_STATE},
    {"ledger", "digest of /privacy/ledger as it was after the round",
     offsetof(cv_proof, ledger), 32},
    {"chain",
     "digest of what chain and rewards go on from: heads, rounds that silos "
     "took part in, test counts of coalitions; zeros without a chain",
     offsetof(cv_proof, paid), 32},
    {"plan",
     "noise multiplier, clip, sensitivity, update clip (float64), grid "
     "bits, exponent, update exponent, wide field (int64) of the next "
     "round, little-endian",
     offsetof(cv_proof, plan), CV_PLAN_BYTES}};
enum { N_DIGESTS = sizeof digest / sizeof *digest };

/* Columns of /proofs/rounds. */
enum {
    C_ROUND,
    C_ATTEMPT,
    C_DRAW,
    C_FIELD,
    C_SUMS,
    C_MEMBER_BYTES,
    C_SUM_BYTES,
    C_FIRST,
    N_COLUMNS
};
static const char *const column_name[N_COLUMNS] = {
    "round", "attempt",      "draw",      "field_bits",
    "sums",  "roster_bytes", "sum_bytes", "attested_from"};

/* Rounds before this place have lost their sums, or rosters. */
static int64_t kept_from(const cv_proofs *all, size_t member, size_t most)
{
    int64_t i = all->n;
    for (size_t left = most; i > 0; i--) {
        const cv_buf *b =
            (const cv_buf *)(const void *)((const char *)&all->proof[i - 1] +
                                           member);
        if (b->len > left)
            break;
        left -= b->len;
    }
    return i;
}

static int64_t sums_from(const cv_proofs *all)
{
    return kept_from(all, offsetof(cv_proof, sums), CV_PROOFS_SUMS);
}

static int64_t rosters_from(const cv_proofs *all)
{
    return kept_from(all, offsetof(cv_proof, members), CV_PROOFS_ROSTERS);
}

/* ---- saving ----------------------------------------------------------------------- */

static int save_bytes(cv_h5_writer *w, const char *name, const void *data,
                      int rank, const int64_t *dims, const char *note,
                      cv_err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proofs/%s", name);
    return cv_h5_put(w, path, CV_H5_U8, rank, dims, data, NULL, note, err);
}

static int save_digests(cv_h5_writer *w, const cv_proofs *all, cv_err *err)
{
    int rc = 0;
    for (size_t k = 0; k < N_DIGESTS && !rc; k++) {
        size_t bytes = digest[k].bytes;
        int64_t dims[2] = {all->n, (int64_t)bytes};
        uint8_t *flat = CV_NEW((size_t)all->n * bytes, uint8_t);
        for (int64_t i = 0; i < all->n; i++)
            memcpy(flat + (size_t)i * bytes,
                   (const char *)&all->proof[i] + digest[k].offset, bytes);
        rc = save_bytes(w, digest[k].name, flat, 2, dims, digest[k].note, err);
        free(flat);
    }
    return rc;
}

static int save_rounds(cv_h5_writer *w, const cv_proofs *all, cv_err *err)
{
    int64_t sums = sums_from(all), rosters = rosters_from(all);
    size_t n = (size_t)all->n;
    int64_t *v = CV_NEW(N_COLUMNS * n, int64_t);
    cv_h5_column col[N_COLUMNS];
    for (size_t i = 0; i < n; i++) {
        const cv_proof *p = &all->proof[i];
        const int64_t row[N_COLUMNS] = {
            p->round,
            p->attempt,
            p->draw,
            p->wide ? 61 : 32,
            p->n_sums,
            (int64_t)i < rosters ? 0 : (int64_t)p->members.len,
            (int64_t)i < sums ? 0 : (int64_t)p->sums.len,
            all->attested[i].span.first};
        for (size_t c = 0; c < N_COLUMNS; c++)
            v[c * n + i] = row[c];
    }
    for (size_t c = 0; c < N_COLUMNS; c++)
        col[c] = (cv_h5_column){
            .name = column_name[c], .type = CV_H5_I64, .data = v + c * n};
    int rc = cv_h5_put_table(
        w, "/proofs/rounds",
        "a row a round; losses and metrics of the record are those of "
        "/history; "
        "attested_from: first round of the attestation that was signed with "
        "this one's checkpoint (0: none)",
        col, N_COLUMNS, all->n, err);
    free(v);
    return rc;
}

/* Details of all rounds, one after the other; roster_bytes and sum_bytes say
 * where one ends. */
static int save_details(cv_h5_writer *w, const cv_proofs *all, cv_err *err)
{
    cv_buf members = {0}, sums = {0};
    for (int64_t i = rosters_from(all); i < all->n; i++)
        cv_buf_add(&members, all->proof[i].members.data,
                   all->proof[i].members.len);
    for (int64_t i = sums_from(all); i < all->n; i++)
        cv_buf_add(&sums, all->proof[i].sums.data, all->proof[i].sums.len);
    int64_t dims[2] = {(int64_t)members.len, (int64_t)sums.len};
    int rc = members.len == 0
                 ? 0
                 : save_bytes(w, "members", cv_buf_text(&members), 1, dims,
                              "a member: silo (int32), key for masks (33), "
                              "commitment to its nonce (32)",
                              err);
    if (!rc && sums.len > 0)
        rc = save_bytes(w, "sum_details", cv_buf_text(&sums), 1, dims + 1,
                        "a sum: length (int64), H(S) (32), f(S) (4 uint64); "
                        "then of each member its commitment (32) and f(y) "
                        "(4 uint64)",
                        err);
    cv_buf_free(&members);
    cv_buf_free(&sums);
    return rc;
}

static int save_attestations(cv_h5_writer *w, const cv_proofs *all, cv_err *err)
{
    enum { ROW = 96 };
    int64_t dims[2] = {all->n, ROW};
    int64_t three[3] = {all->n, all->n_silos, CV_SIG_BYTES};
    uint8_t *head = CV_NEW((size_t)all->n * ROW, uint8_t);
    for (int64_t i = 0; i < all->n; i++) {
        const cv_attested *a = &all->attested[i];
        memcpy(head + i * ROW, a->span.before, 32);
        memcpy(head + i * ROW + 32, a->span.first_before, 32);
        memcpy(head + i * ROW + 64, a->after, 32);
    }
    int rc = save_bytes(w, "heads", head, 2, dims,
                        "heads of the chain: before the round, before the "
                        "first round attested with it, after the round",
                        err);
    if (!rc)
        rc = save_bytes(w, "attestations", all->attestation, 3, three,
                        "silos' EIP-712 signatures of heads: r, s, parity; "
                        "zeros where a round has none",
                        err);
    free(head);
    return rc;
}

int cv_proofs_save(cv_h5_writer *w, const cv_proofs *all, int chain,
                   cv_err *err)
{
    int64_t three[3] = {all->n, all->n_silos, CV_SIGNED_BYTES};
    if (!all->n)
        return 0;
    int rc = save_rounds(w, all, err);
    if (!rc)
        rc = save_digests(w, all, err);
    if (!rc)
        rc = save_details(w, all, err);
    if (!rc)
        rc = save_bytes(w, "signatures", all->signature, 3, three,
                        "silos' signatures of the record: the record that it "
                        "supersedes (zeros: none), r, s, parity; zeros where "
                        "there is none (no checkpoint, or not yet)",
                        err);
    return !rc && chain ? save_attestations(w, all, err) : rc;
}

/* ---- loading ------------------------------------------------------------------------ */

static int wrong(cv_err *err, const char *what)
{
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0, "/proofs: %s", what);
}

static int load_bytes(cv_h5_reader *r, const char *name, void *out, size_t n,
                      cv_err *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proofs/%s", name);
    return cv_h5_get(r, path, CV_H5_U8, out, n, err);
}

static int load_rounds(cv_h5_reader *r, cv_proofs *all, int64_t n,
                       int64_t *member_bytes, int64_t *sum_bytes, cv_err *err)
{
    int64_t *v = CV_NEW(N_COLUMNS * (size_t)n, int64_t);
    int64_t members = 0, sums = 0;
    int rc = 0;
    for (size_t c = 0; c < N_COLUMNS && !rc; c++)
        rc = cv_h5_get_column(r, "/proofs/rounds", column_name[c], CV_H5_I64,
                              v + c * (size_t)n, n, err);
    for (int64_t i = 0; i < n && !rc; i++) {
        cv_proof *p = append(all);
        p->round = v[C_ROUND * n + i];
        p->attempt = v[C_ATTEMPT * n + i];
        p->draw = v[C_DRAW * n + i];
        p->wide = v[C_FIELD * n + i] == 61;
        p->n_sums = v[C_SUMS * n + i];
        all->attested[i].span.first = v[C_FIRST * n + i];
        member_bytes[i] = v[C_MEMBER_BYTES * n + i];
        sum_bytes[i] = v[C_SUM_BYTES * n + i];
        if (p->round < 1 || p->round > 1000000000 ||
            (i && p->round != p[-1].round + 1) ||
            (v[C_FIELD * n + i] != 61 && v[C_FIELD * n + i] != 32) ||
            p->n_sums < 0 || member_bytes[i] < 0 || sum_bytes[i] < 0 ||
            member_bytes[i] > CV_PROOFS_ROSTERS ||
            sum_bytes[i] > CV_PROOFS_SUMS ||
            (members += member_bytes[i]) > CV_PROOFS_ROSTERS ||
            (sums += sum_bytes[i]) > CV_PROOFS_SUMS ||
            all->attested[i].span.first < 0 ||
            all->attested[i].span.first > p->round)
            rc = wrong(err, "rounds holds numbers that no run of Covey can "
                            "have saved");
    }
    free(v);
    return rc;
}

static int load_digests(cv_h5_reader *r, cv_proofs *all, cv_err *err)
{
    int rc = 0;
    for (size_t k = 0; k < N_DIGESTS && !rc; k++) {
        size_t bytes = digest[k].bytes;
        uint8_t *flat = CV_NEW((size_t)all->n * bytes, uint8_t);
        rc = load_bytes(r, digest[k].name, flat, (size_t)all->n * bytes, err);
        for (int64_t i = 0; i < all->n && !rc; i++)
            memcpy((char *)&all->proof[i] + digest[k].offset,
                   flat + (size_t)i * bytes, bytes);
        free(flat);
    }
    return rc;
}

static int load_detail(cv_h5_reader *r, cv_proofs *all, const char *name,
                       size_t member, const int64_t *bytes, cv_err *err)
{
    size_t total = 0, at = 0;
    for (int64_t i = 0; i < all->n; i++)
        total += (size_t)bytes[i];
    uint8_t *flat = CV_NEW(total, uint8_t);
    int rc = total ? load_bytes(r, name, flat, total, err) : 0;
    for (int64_t i = 0; i < all->n && !rc; i++) {
        cv_buf *b = (cv_buf *)(void *)((char *)&all->proof[i] + member);
        cv_buf_add(b, flat + at, (size_t)bytes[i]);
        at += (size_t)bytes[i];
    }
    free(flat);
    return rc;
}

static int load_attestations(cv_h5_reader *r, cv_proofs *all, cv_err *err)
{
    enum { ROW = 96 };
    uint8_t *head = CV_NEW((size_t)all->n * ROW, uint8_t);
    int rc = load_bytes(r, "heads", head, (size_t)all->n * ROW, err);
    for (int64_t i = 0; i < all->n && !rc; i++) {
        cv_attested *a = &all->attested[i];
        memcpy(a->span.before, head + i * ROW, 32);
        memcpy(a->span.first_before, head + i * ROW + 32, 32);
        memcpy(a->after, head + i * ROW + 64, 32);
    }
    free(head);
    return rc ? rc
              : load_bytes(r, "attestations", all->attestation,
                           (size_t)all->n * attested_row(all), err);
}

/* Losses and metrics of the records are those of the history. */
static int load_metrics(cv_h5_reader *r, cv_proofs *all, cv_err *err)
{
    int64_t rows = 0;
    char **name = NULL;
    size_t n_names = 0;
    int metric = 0;
    int rc = cv_h5_table_rows(r, "/history", &rows, err);
    if (!rc)
        rc = cv_h5_table_columns(r, "/history", &name, &n_names, err);
    if (!rc && (rows < all->n || rows != all->proof[all->n - 1].round))
        rc = wrong(err, "the newest record is not of the last round of "
                        "/history");
    double *v = CV_NEW(rc ? 0 : rows, double);
    for (size_t c = 0; c < n_names && !rc; c++) {
        int test = strncmp(name[c], "test_", 5) == 0;
        rc = cv_h5_get_column(r, "/history", name[c], CV_H5_F64, v, rows, err);
        for (int64_t i = 0; i < all->n && !rc; i++) {
            cv_proof *p = &all->proof[i];
            double x = v[rows - all->n + i];
            if (strcmp(name[c], "silos") == 0)
                p->n_silos = x >= 0 && x < 1e9 ? (int64_t)x : -1;
            else if (strcmp(name[c], "train_loss") == 0)
                p->train_loss = x;
            else if (strcmp(name[c], "update") == 0)
                p->update = x;
            else if (test && metric < CV_MAX_METRICS)
                p->metrics[metric] = x;
        }
        metric += test;
    }
    for (int64_t i = 0; i < all->n; i++)
        for (int k = metric; k < CV_MAX_METRICS; k++)
            all->proof[i].metrics[k] = NAN;
    free(v);
    cv_strings_free(&name, n_names);
    return rc;
}

int cv_proofs_load(cv_h5_reader *r, cv_proofs *all, cv_err *err)
{
    int64_t n = 0;
    if (!cv_h5_has(r, "/proofs/rounds"))
        return 0;
    int rc = cv_h5_table_rows(r, "/proofs/rounds", &n, err);
    if (rc || n == 0)
        return rc;
    /* The file is as large as what is allocated for it. */
    int rank = 0;
    int64_t dims[4] = {0};
    rc = cv_h5_shape(r, "/proofs/signatures", &rank, dims, err);
    if (!rc && (rank != 3 || dims[0] != n || dims[1] != all->n_silos ||
                dims[2] != CV_SIGNED_BYTES))
        rc = wrong(err, "signatures are not of these rounds and silos");
    if (rc)
        return rc;
    int64_t *members = CV_NEW(n, int64_t), *sums = CV_NEW(n, int64_t);
    rc = load_rounds(r, all, n, members, sums, err);
    if (!rc)
        rc = load_digests(r, all, err);
    if (!rc)
        rc = load_detail(r, all, "members", offsetof(cv_proof, members),
                         members, err);
    if (!rc)
        rc = load_detail(r, all, "sum_details", offsetof(cv_proof, sums), sums,
                         err);
    if (!rc)
        rc = load_bytes(r, "signatures", all->signature,
                        (size_t)all->n * signed_row(all), err);
    if (!rc && cv_h5_has(r, "/proofs/heads"))
        rc = load_attestations(r, all, err);
    if (!rc)
        rc = load_metrics(r, all, err);
    free(members);
    free(sums);
    return rc;
}
