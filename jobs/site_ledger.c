#include "jobs/site_ledger.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chain/keystore.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/tagged.h"

/* Of a site's limit that names none, at most. */
static const double LIMIT_DELTA = 1e-5;

int cv_site_unlock(const cv_silo *site, cv_seckey **key, cv_err *err)
{
    cv_keystore *ks = NULL;
    cv_passphrase pass = {0};
    if (!site->key)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "secure_aggregation needs `key` in silo.yaml: a file "
                          "that `covey keys new` makes");
    if (!site->password_file)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "secure_aggregation needs `password_file` in "
                          "silo.yaml: a file of one line with the key's pass "
                          "phrase, mode 0600");
    int rc = cv_keystore_load(site->key, &ks, err);
    if (rc)
        cv_err_prefix(err, "its key file");
    if (!rc) {
        rc = cv_passphrase_read(site->password_file, &pass, err);
        if (rc)
            cv_err_prefix(err, "its password_file");
    }
    if (!rc) {
        rc = cv_keystore_unlock(ks, &pass, key, err);
        if (rc)
            cv_err_prefix(err, "its key file with its password_file");
    }
    cv_passphrase_wipe(&pass);
    cv_keystore_destroy(&ks);
    return rc;
}

char *cv_site_state_dir(const cv_silo *site)
{
    if (site->state)
        return cv_strdup(site->state);
    char *home = cv_fs_dirname(site->file);
    char *dir = cv_fs_join(home, "covey-state");
    free(home);
    return dir;
}

int cv_site_identify_data(const char *path, uint8_t data[32], uint8_t place[32],
                          cv_err *err)
{
    char real[PATH_MAX];
    cv_sha256 *h = cv_sha256_create();
    int rc = cv_fs_fingerprint(path, h, err);
    if (rc)
        cv_err_prefix(err, "its data");
    cv_sha256_end(h, data);
    cv_sha256_destroy(&h);
    const char *name = realpath(path, real) ? real : path;
    cv_part part[] = {{name, strlen(name)}};
    cv_tagged_hash(place, "covey data place v1", part, 1);
    return rc;
}

/* ---- what was spent ----------------------------------------------------------- */

/* Names under which the journal knows the data that are used now. */
typedef struct {
    const uint8_t **data, **place; /* (n) */
    size_t n;
} aliases;

static void add_alias(aliases *a, const uint8_t *data, const uint8_t *place)
{
    a->data = cv_realloc(a->data, a->n + 1, sizeof *a->data);
    a->place = cv_realloc(a->place, a->n + 1, sizeof *a->place);
    a->data[a->n] = data;
    a->place[a->n++] = place;
}

/* 0: other data; 1: these, by a name that is listed; 2: by a new one. */
static int is_alias(const aliases *a, const cv_journal_entry *e)
{
    int found = 0;
    for (size_t k = 0; k < a->n; k++) {
        if (memcmp(e->data, a->data[k], 32) == 0 &&
            memcmp(e->place, a->place[k], 32) == 0)
            return 1;
        if (cv_journal_same_data(e, a->data[k], a->place[k]))
            found = 2;
    }
    return found;
}

/* Data that were changed a little and used, then moved and used, are still what
 * they were: an entry leads to others. */
static void find_aliases(aliases *a, const cv_journal_entry *e, size_t n)
{
    for (size_t i = 0; i < n;) {
        int more = is_alias(a, &e[i]) == 2;
        if (more)
            add_alias(a, e[i].data, e[i].place);
        i = more ? 0 : i + 1;
    }
}

cv_segment cv_site_segment(const cv_journal_cost *c)
{
    return (cv_segment){
        .noise_multiplier = c->noise_multiplier,
        .sampling = c->sampling,
        .steps = c->steps,
        .integers = {c->sensitivity, c->shares, c->dimension, c->sampler}};
}

int cv_site_spent(const cv_journal *j, const uint8_t data[32],
                  const uint8_t place[32], cv_accountant *a, int64_t *runs,
                  cv_err *err)
{
    size_t n;
    int rc = 0;
    int64_t count = 0;
    const uint8_t *last = NULL;
    aliases same = {0};
    const cv_journal_entry *e = cv_journal_entries(j, &n);
    add_alias(&same, data, place);
    find_aliases(&same, e, n);
    for (size_t i = 0; i < n && !rc; i++) {
        const cv_journal_cost *c = &e[i].cost;
        if (c->steps == 0 || !is_alias(&same, &e[i]))
            continue;
        cv_segment s = {
            .noise_multiplier = c->noise_multiplier,
            .sampling = c->sampling,
            .steps = c->steps,
            .integers = {c->sensitivity, c->shares, c->dimension, c->sampler}};
        rc = cv_accountant_add(a, &s, err);
        count += !last || memcmp(last, e[i].run_id, 32) != 0;
        last = e[i].run_id;
    }
    if (runs)
        *runs = count;
    free(same.data);
    free(same.place);
    return rc;
}

int cv_site_limit(const cv_silo *site, const cv_job *job, double *epsilon,
                  double *delta)
{
    *epsilon = site->limits.epsilon;
    *delta = site->limits.delta;
    if (*epsilon <= 0.0 && *delta <= 0.0)
        return 0;
    /* A job must not loosen a limit of epsilon by its own delta. */
    *delta = *delta > 0.0 ? *delta : fmin(job->privacy.delta, LIMIT_DELTA);
    *epsilon = *epsilon > 0.0 ? *epsilon : job->privacy.epsilon;
    return *epsilon > 0.0;
}
