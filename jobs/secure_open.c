/* What the hosted silos need for masked sums: their identity keys, the secret
 * that their noise comes from, and the journal that remembers what was spent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/hkdf.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "jobs/attest.h"
#include "jobs/secure.h"
#include "jobs/site.h"
#include "jobs/site_ledger.h"
#include "mpi/agree.h"
#include "mpi/messages.h"
#include "mpi/reduce.h"
#include "privacy/quantise.h"

/* ---- secrets ---------------------------------------------------------------
 */

/* 32 random bytes in a file of mode 0600, made once. */
static int load_secret(const char *path, uint8_t *secret, cv_err *err)
{
    char *text = NULL;
    size_t n = 0;
    int rc = 0;
    if (!cv_fs_exists(path)) {
        cv_entropy(secret, 32);
        rc = cv_fs_write_new(path, secret, 32, 0600, err);
        if (rc && !cv_fs_exists(path)) /* else another process was faster */
            return rc;
    }
    rc = cv_fs_read(path, 64, &text, &n, err);
    if (!rc && n != 32)
        rc = cv_err_set(err, CV_ERR_VERIFY, path, 0,
                        "expected 32 secret bytes, found %zu; restore the file "
                        "from a backup: without it no run of this silo can be "
                        "continued",
                        n);
    if (!rc)
        memcpy(secret, text, 32);
    if (text)
        cv_wipe(text, n);
    free(text);
    return rc;
}

/* From one secret the keys of all uses: HKDF-extract, so that what is expanded
 * later needs no salt. */
static void extract(uint8_t *secret)
{
    static const char salt[] = "covey silo secret v1";
    cv_hkdf_extract(secret, secret, 32, salt, sizeof salt - 1);
}

/* ---- a silo with a site of its own ----------------------------------------- */

static int check_own_key(const cv_run *run, const cv_hosted *h,
                         const cv_party *p, cv_err *err)
{
    cv_pubkey self;
    cv_seckey_pubkey(p->key, &self);
    if (cv_pubkey_same(&self, &run->secure->identity[h->index]))
        return 0;
    return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                      "silo %s: its key file holds another key than the job "
                      "lists (silos: public_key); use the key that belongs to "
                      "the job, or have the job changed",
                      h->name);
}

/* Old noise cannot be repeated without the secret that it came from: rounds that
 * were under way will be charged again. */
static void warn_of_new_secret(const char *path, const cv_hosted *h,
                               const cv_journal *journal)
{
    size_t n = 0;
    (void)cv_journal_entries(journal, &n);
    if (n && !cv_fs_exists(path))
        cv_log(CV_LOG_WARN, "silo_secret_gone",
               "silo=%s the secret of its noise is gone, and is made anew; "
               "rounds under way are charged again",
               h->name);
}

static int open_party(cv_run *run, cv_hosted *h, cv_party *p, cv_err *err)
{
    char *secret = cv_asprintf("%s/silo-%s.secret", h->state_dir, h->name);
    char *journal = cv_asprintf("%s/silo-%s.journal", h->state_dir, h->name);
    p->secret = cv_secret_alloc(32);
    int rc = cv_site_unlock(h->site, &p->key, err);
    if (!rc)
        rc = cv_site_identify_data(h->site->data, p->data, p->place, err);
    if (!rc)
        rc = cv_journal_open(journal, &p->journal, err);
    if (!rc) {
        warn_of_new_secret(secret, h, p->journal);
        rc = load_secret(secret, p->secret, err);
    }
    if (rc)
        cv_site_error(run, h, err);
    else
        rc = check_own_key(run, h, p, err);
    extract(p->secret);
    free(secret);
    free(journal);
    return rc;
}

/* ---- whom a site trusts -----------------------------------------------------
 */

static int is_trusted(const cv_silo *site, const cv_pubkey *key)
{
    char text[CV_PUBKEY_TEXT];
    cv_pubkey_text(text, key);
    for (int i = 0; i < site->n_trusted; i++)
        if (strcmp(site->trusted[i], text) == 0)
            return 1;
    return 0;
}

/* Keys that the site has not pinned count as colluding, and so do all silos of
 * their operators. */
static int check_trust(const cv_run *run, const cv_hosted *h, cv_err *err)
{
    const cv_secure *sec = run->secure;
    int n = run->fed.n_silos, strangers = 0;
    uint8_t *counted = CV_NEW(n, uint8_t);
    char who[300] = "";
    for (int i = 0; i < n; i++) {
        if (i == h->index || is_trusted(h->site, &sec->identity[i]))
            continue;
        size_t at = strlen(who);
        snprintf(who + at, sizeof who - at, "%s%s", at ? ", " : "",
                 run->job->silos[i].name);
        strangers += !counted[sec->operator_of[i]];
        counted[sec->operator_of[i]] = 1;
    }
    free(counted);
    if (strangers <= sec->collusion)
        return 0;
    return cv_err_set(
        err, CV_ERR_PRIVACY, NULL, 0,
        "silo %s: the keys of %.240s are not among `trusted` in "
        "its silo.yaml, so they count as colluding: %d operator%s, "
        "where the job allows for %d (secure_aggregation.collusion"
        "); the site has to pin the keys of partners it knows",
        h->name, who, strangers, strangers == 1 ? "" : "s", sec->collusion);
}

static int check_min_silos(const cv_run *run, const cv_hosted *h, cv_err *err)
{
    int want = h->site->limits.min_silos;
    if (run->job->training.min_silos >= want)
        return 0;
    return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                      "silo %s: its silo.yaml takes part in sums of %d silos "
                      "and more only (limits.min_silos); the job allows sums "
                      "of %d (training.min_silos)",
                      h->name, want, run->job->training.min_silos);
}

static int open_sites(cv_run *run, cv_err *err)
{
    cv_secure *sec = run->secure;
    int rc = 0;
    for (int i = 0; i < run->fed.n_silos && !rc; i++) {
        rc = cv_pubkey_parse(&sec->identity[i], run->job->silos[i].public_key,
                             err);
        if (rc)
            cv_err_prefix(err, "public_key of silo %s",
                          run->job->silos[i].name);
    }
    for (int s = 0; s < run->fed.n_hosted && !rc; s++) {
        cv_hosted *h = &run->hosted[s];
        if (!cv_fed_is_leader(&run->fed))
            break;
        rc = open_party(run, h, &sec->party[s], err);
        if (!rc)
            rc = check_trust(run, h, err);
        if (!rc)
            rc = check_min_silos(run, h, err);
    }
    return rc;
}

/* ---- ranks that share a silo -------------------------------------------------
 */

static void rank_proof(const cv_run *run, const uint8_t nonce[32], int part,
                       uint8_t out[32])
{
    const cv_hosted *h = &run->hosted[0];
    uint8_t info[32], place[8];
    cv_put_le32(place, (uint32_t)part);
    cv_put_le32(place + 4, (uint32_t)run->fed.n_parts);
    cv_part bound[] = {{nonce, 32},
                       {place, sizeof place},
                       {h->name, strlen(h->name)},
                       {run->job->digest, 32}};
    cv_tagged_hash(info, "covey rank of a silo v1", bound, 4);
    cv_hkdf_expand(out, 32, run->secure->party[0].secret, info, 32);
}

/* Ranks of a silo see its gradients before they are noised. Anybody who starts a
 * rank can claim a silo; that it is the site's own, the site's secret shows. */
static int prove_shared_all(cv_run *run, cv_err *err)
{
    const cv_fed *fed = &run->fed;
    uint8_t nonce[32], mine[32], want[32];
    uint8_t *all = CV_NEW(32 * (size_t)fed->n_parts, uint8_t);
    int rc = 0;
    cv_entropy(nonce, sizeof nonce);
    cv_bcast_bytes_all(fed->silo, nonce, sizeof nonce, 0);
    rank_proof(run, nonce, fed->part, mine);
    MPI_Allgather(mine, 32, MPI_BYTE, all, 32, MPI_BYTE, fed->silo);
    for (int k = 0; k < fed->n_parts && !rc; k++) {
        rank_proof(run, nonce, k, want);
        if (!cv_equal(want, all + 32 * k, 32))
            rc = cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                            "silo %s: rank %d of %d that claim it does not "
                            "hold the site's secret (STATE/silo-%s.secret); "
                            "ranks of a silo need the same silo.yaml and state",
                            run->hosted[0].name, k, fed->n_parts,
                            run->hosted[0].name);
    }
    free(all);
    return rc;
}

/* A rank beside the leader needs the secret alone, which the leader has made. */
static int open_helper(cv_run *run, cv_err *err)
{
    const cv_hosted *h = &run->hosted[0];
    cv_party *p = &run->secure->party[0];
    char *path = cv_asprintf("%s/silo-%s.secret", h->state_dir, h->name);
    int rc = 0;
    p->secret = cv_secret_alloc(32);
    if (cv_fs_exists(path))
        rc = load_secret(path, p->secret, err);
    else /* a proof that fails, not a secret of its own */
        cv_entropy(p->secret, 32);
    if (rc)
        cv_site_error(run, h, err);
    extract(p->secret);
    free(path);
    return rc;
}

/* ---- simulated silos ---------------------------------------------------------
 */

/* One secret in the run folder stands for those of all sites, so that any rank
 * can host any silo. */
static int simulate_party(const cv_hosted *h, const uint8_t *master,
                          cv_party *p, cv_err *err)
{
    uint8_t *bytes = cv_secret_alloc(32), info[32];
    p->secret = cv_secret_alloc(32);
    cv_part part[] = {{h->name, strlen(h->name)}};
    cv_tagged_hash(info, "covey simulated identity v1", part, 1);
    cv_hkdf_expand(bytes, 32, master, info, 32);
    cv_tagged_hash(info, "covey simulated secret v1", part, 1);
    cv_hkdf_expand(p->secret, 32, master, info, 32);
    int rc = cv_seckey_from_bytes(bytes, &p->key, err);
    cv_secret_free(bytes);
    return rc;
}

static int open_simulated_journal(cv_run *run, cv_err *err)
{
    char *path = cv_asprintf("%s/state/simulated.journal", run->dir);
    int rc = cv_journal_open(path, &run->secure->journal, err);
    free(path);
    return rc;
}

static int open_simulated_all(cv_run *run, cv_err *err)
{
    cv_secure *sec = run->secure;
    uint8_t *master = cv_secret_alloc(32);
    char *dir = cv_asprintf("%s/state", run->dir);
    char *path = cv_fs_join(dir, "simulated.secret");
    int rc = 0;
    if (run->fed.rank == 0) {
        rc = cv_fs_mkdir(dir, 0700, err);
        if (!rc)
            rc = load_secret(path, master, err);
        if (!rc)
            rc = open_simulated_journal(run, err);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc) {
        rc = load_secret(path, master, err);
        extract(master);
        for (int s = 0; s < run->fed.n_hosted && !rc; s++) {
            cv_hosted *h = &run->hosted[s];
            rc = simulate_party(h, master, &sec->party[s], err);
            if (!rc)
                cv_seckey_pubkey(sec->party[s].key, &sec->identity[h->index]);
        }
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc && cv_fed_is_leader(&run->fed)) {
        cv_pubkey *mine = CV_NEW(run->fed.n_hosted, cv_pubkey);
        for (int s = 0; s < run->fed.n_hosted; s++)
            mine[s] = sec->identity[run->fed.first + s];
        cv_gather_messages_all(&run->fed, sec->identity, mine, sizeof *mine);
        free(mine);
    }
    cv_secret_free(master);
    free(dir);
    free(path);
    return rc;
}

/* ---- all of it --------------------------------------------------------------
 */

static void note_operators(cv_run *run)
{
    const cv_fed *fed = &run->fed;
    for (int r = 0; r < fed->n_leaders; r++)
        for (int s = 0; s < fed->lead_hosted[r]; s++) {
            int i = fed->lead_first[r] + s;
            run->secure->operator_of[i] = run->job->simulate.enabled ? i : r;
        }
}

int cv_secure_open_all(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    int n = run->fed.n_silos;
    if (!job->secure_aggregation.given && !cv_job_is_fit(job))
        return 0; /* a fit sums words in any case */
    cv_secure *sec = run->secure = CV_NEW(1, cv_secure);
    sec->masks = job->secure_aggregation.enabled;
    sec->collusion = job->secure_aggregation.collusion;
    sec->wide =
        n > CV_NARROW_MAX_SILOS || cv_job_is_fit(job) ||
        (!job->privacy.enabled && job->training.weights == CV_WEIGHTS_ROWS);
    sec->identity = CV_NEW(n, cv_pubkey);
    sec->operator_of = CV_NEW(n, int);
    sec->party = CV_NEW(run->fed.n_hosted, cv_party);
    note_operators(run);
    if (!sec->masks)
        return 0;
    if (job->simulate.enabled)
        return open_simulated_all(run, err);
    int rc = open_sites(run, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc && !cv_fed_is_leader(&run->fed))
        rc = open_helper(run, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc && run->fed.n_parts > 1)
        rc = prove_shared_all(run, err);
    return cv_agree_all(run->fed.world, rc, err);
}

void cv_secure_close(cv_run *run)
{
    cv_secure *sec = run->secure;
    if (!sec)
        return;
    cv_attest_close(run);
    cv_proofs_free(&sec->proofs);
    cv_rewards_free(&sec->rewards);
    free(sec->coalition);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        cv_seckey_destroy(&sec->party[s].key);
        cv_secret_free(sec->party[s].secret);
        cv_journal_close(&sec->party[s].journal);
    }
    cv_journal_close(&sec->journal);
    for (int s = 0; sec->y && s < run->fed.n_hosted; s++)
        free(sec->y[s]);
    free(sec->y);
    free(sec->sum);
    free(sec->party);
    free(sec->identity);
    free(sec->operator_of);
    CV_FREE(run->secure);
}

void cv_private_key(const cv_run *run, int hosted, uint8_t key[32],
                    const char *use, const cv_attempt *at, double sigma)
{
    uint8_t info[32], round[8], draw[8], noise[8];
    uint64_t bits;
    memcpy(&bits, &sigma, sizeof bits);
    cv_put_le64(noise, bits);
    cv_put_le64(round, (uint64_t)at->round);
    cv_put_le64(draw, (uint64_t)at->draw);
    const char *name = run->hosted[hosted].name;
    /* The model is there so that a site that was put back whole, journal and
     * all, does not put the same noise on another update. */
    cv_part part[] = {{use, strlen(use)},      {name, strlen(name)},
                      {run->run_id, 32},       {run->job->digest, 32},
                      {round, sizeof round},   {draw, sizeof draw},
                      {at->members, 32},       {noise, sizeof noise},
                      {run->secure->model, 32}};
    cv_tagged_hash(info, "covey private randomness v2", part,
                   sizeof part / sizeof *part);
    cv_hkdf_expand(key, 32, run->secure->party[hosted].secret, info,
                   sizeof info);
}
