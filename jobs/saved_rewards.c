/* /rewards of a checkpoint. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/rewards.h"

static int save_table(cv_h5_writer *w, const cv_rewards *r, const cv_job *job,
                      cv_err *err)
{
    size_t n = (size_t)r->n;
    char(*payee)[CV_ADDRESS_TEXT] = cv_calloc(n, sizeof *payee);
    char(*amount)[CV_UNITS_TEXT] = cv_calloc(n, sizeof *amount);
    const char **name = CV_NEW(3 * n, const char *), **who = name + n,
               **what = name + 2 * n;
    for (size_t i = 0; i < n; i++) {
        cv_address_text(payee[i], &r->payee[i]);
        cv_u256_units(amount[i], &r->amount[i], job->chain.rewards.decimals);
        name[i] = job->silos[i].name;
        who[i] = payee[i];
        what[i] = amount[i];
    }
    cv_h5_column col[] = {
        {.name = "silo", .is_string = 1, .data = name},
        {.name = "payee", .is_string = 1, .data = who},
        {.name = "basis", .type = CV_H5_I64, .data = r->basis},
        {.name = "amount", .is_string = 1, .data = what}};
    int rc = cv_h5_put_table(w, "/rewards/silos",
                             "basis: what the method counts; amount: in tokens",
                             col, 4, r->n, err);
    free(name);
    free(payee);
    free(amount);
    return rc;
}

static int save_sigs(cv_h5_writer *w, const char *path, const cv_sig *sig,
                     int n, const char *note, cv_err *err)
{
    int64_t dims[2] = {n, CV_SIG_BYTES};
    return cv_h5_put(w, path, CV_H5_U8, 2, dims, sig, NULL, note, err);
}

int cv_rewards_save(cv_h5_writer *w, const cv_rewards *r, const cv_job *job,
                    cv_err *err)
{
    int64_t dims[1] = {r->n_values};
    if (r->n == 0)
        return 0;
    int rc =
        cv_h5_attr_i64(w, "/rewards", "epoch", (int64_t)r->epoch.epoch, err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/rewards", "version", r->epoch.version, err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/rewards", "round", r->round, err);
    if (!rc)
        rc = save_table(w, r, job, err);
    if (!rc)
        rc = save_sigs(w, "/rewards/count_signatures", r->count_sig, r->n,
                       "identities' signatures of counts that silos tell of "
                       "themselves; zeros where the method reads none",
                       err);
    if (!rc)
        rc = save_sigs(w, "/rewards/signatures", r->sig, r->n,
                       "attesters' EIP-712 signatures of the epoch: r, s, "
                       "parity",
                       err);
    if (!rc && r->n_values)
        rc = cv_h5_put(w, "/rewards/coalitions", CV_H5_I64, 1, dims, r->value,
                       NULL,
                       "public test rows that the model of a coalition gets "
                       "right; bit g of the index: group g is in",
                       err);
    return rc;
}

static int load_values(cv_h5_reader *r, cv_rewards *out, cv_err *err)
{
    int rank = 0;
    int64_t dims[4] = {0};
    if (!cv_h5_has(r, "/rewards/coalitions"))
        return 0;
    int rc = cv_h5_shape(r, "/rewards/coalitions", &rank, dims, err);
    if (!rc && (rank != 1 || dims[0] < 4 || dims[0] > 256))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "/rewards/coalitions has not 2^groups values");
    if (rc)
        return rc;
    out->n_values = (int)dims[0];
    out->value = CV_NEW(dims[0], int64_t);
    rc = cv_h5_get(r, "/rewards/coalitions", CV_H5_I64, out->value,
                   (size_t)dims[0], err);
    for (int64_t i = 0; i < dims[0] && !rc; i++)
        if (out->value[i] < 0 || out->value[i] > CV_REWARD_MAX_COUNT)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "/rewards/coalitions: a count that cannot be");
    return rc;
}

/* Payees and amounts are computed again by whoever reads: basis and signatures
 * are what the file is asked for. */
int cv_rewards_load(cv_h5_reader *r, cv_rewards *out, int n_silos, cv_err *err)
{
    int64_t epoch = 0, version = 0;
    size_t n = (size_t)n_silos;
    *out = (cv_rewards){0};
    if (!cv_h5_has(r, "/rewards"))
        return 0;
    cv_rewards_create(out, n_silos);
    int rc = cv_h5_get_attr_i64(r, "/rewards", "epoch", &epoch, err);
    if (!rc)
        rc = cv_h5_get_attr_i64(r, "/rewards", "version", &version, err);
    if (!rc)
        rc = cv_h5_get_attr_i64(r, "/rewards", "round", &out->round, err);
    if (!rc && (epoch < 1 || version < 1 || version > 1000000))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "/rewards holds numbers that no run can have saved");
    if (!rc)
        rc = cv_h5_get_column(r, "/rewards/silos", "basis", CV_H5_I64,
                              out->basis, n_silos, err);
    if (!rc)
        rc = cv_h5_get(r, "/rewards/count_signatures", CV_H5_U8, out->count_sig,
                       n * CV_SIG_BYTES, err);
    if (!rc)
        rc = cv_h5_get(r, "/rewards/signatures", CV_H5_U8, out->sig,
                       n * CV_SIG_BYTES, err);
    if (!rc)
        rc = load_values(r, out, err);
    for (int i = 0; i < n_silos && !rc; i++)
        if (out->basis[i] < 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "/rewards/silos: a basis below 0");
    out->epoch.epoch = (uint64_t)epoch;
    out->epoch.version = (uint32_t)version;
    return rc;
}
