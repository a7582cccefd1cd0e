/* Records, their links and signatures; rosters; the sums of every round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "jobs/verify.h"
#include "privacy/field.h"
#include "privacy/lincheck.h"

static const uint8_t zeros[CV_SIGNED_BYTES];

/* ---- records --------------------------------------------------------------------- */

/* The part that the record does not have, or NULL. */
static const char *wrong_part(const cv_verify *v, const cv_proof *p)
{
    uint8_t leaves[CV_PROOF_PARTS][32], root[32];
    cv_proof_leaves(leaves, p, v->run_id, v->saved.job->digest);
    for (int k = 0; k < CV_PROOF_PARTS; k++)
        if (memcmp(leaves[k], p->leaves[k], 32) != 0)
            return cv_proof_part_names[k];
    cv_proof_root(root, (const uint8_t(*)[32])leaves);
    return memcmp(root, p->record, 32) ? "record" : NULL;
}

static void root_of_start(const cv_saved *s, uint8_t root[32])
{
    size_t n = cv_saved_params(s)->n;
    if (s->fit) {
        double *v = CV_NEW(n, double);
        cv_fit_start(s->fit, v);
        cv_params_root_f64(root, v, n);
        free(v);
        return;
    }
    float *w = CV_NEW(n, float);
    cv_model_init(s->model, w, s->job->training.seed);
    cv_params_root(root, w, n);
    free(w);
}

/* The run's first model follows from the job's seed. */
static int begins_at_seed(cv_verify *v, const cv_proof *p)
{
    uint8_t root[32];
    root_of_start(&v->saved, root);
    return memcmp(root, p->start_model, 32) == 0;
}

static int check_link(cv_verify *v, int64_t i)
{
    const cv_proof *p = &v->proofs.proof[i];
    long long round = (long long)p->round;
    if (i == 0 && p->round == 1 && !begins_at_seed(v, p))
        cv_verify_say(v, CV_LINE_FAILS, "records",
                      "round 1 went on from another model than the job's seed "
                      "gives");
    else if (i == 0 && p->round == 1 && memcmp(p->previous, zeros, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "records",
                      "round 1 follows a record that is not in the file");
    else if (i > 0 && memcmp(p->previous, p[-1].record, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "records",
                      "round %lld does not follow the record of round %lld: a "
                      "round was changed, left out, or put in",
                      round, round - 1);
    else if (i > 0 && memcmp(p->start_model, p[-1].model, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "records",
                      "round %lld went on from another model than round %lld "
                      "ended with",
                      round, round - 1);
    else
        return 1;
    return 0;
}

void cv_verify_records(cv_verify *v)
{
    const cv_proofs *all = &v->proofs;
    char head[65];
    int holds = 1;
    for (int64_t i = 0; i < all->n && holds; i++) {
        const cv_proof *p = &all->proof[i];
        const char *part = wrong_part(v, p);
        if (part) {
            cv_verify_say(v, CV_LINE_FAILS, "records",
                          "round %lld: %s is not what the record was made of",
                          (long long)p->round, part);
            holds = 0;
        }
        holds = holds && check_link(v, i);
    }
    if (!holds)
        return;
    cv_hex(head, all->proof[all->n - 1].record, 32);
    if (strcmp(head, v->privacy.record) != 0) {
        cv_verify_say(v, CV_LINE_FAILS, "records",
                      "the newest record of /proofs is not that of its last "
                      "round");
        return;
    }
    cv_verify_say(v, CV_LINE_RECOMPUTED, "records",
                  "rounds %lld to %lld, each linked to the one before; newest "
                  "%s",
                  (long long)all->proof[0].round, (long long)v->saved.round,
                  head);
    if (all->proof[0].round > 1)
        cv_verify_say(v, CV_LINE_UNCHECKED, "records",
                      "rounds before %lld have no records in the file: an "
                      "older program trained them, or somebody has taken them "
                      "out",
                      (long long)all->proof[0].round);
}

/* ---- signatures --------------------------------------------------------------------- */

/* Signatures of the newest round that are beside the file: a run that was cut
 * short after its last checkpoint has them in records.log alone. */
static void read_log(cv_verify *v)
{
    const cv_proof *p = &v->proofs.proof[v->proofs.n - 1];
    char *dir = cv_fs_dirname(v->path), *path = cv_fs_join(dir, "records.log");
    char *text = NULL, *save = NULL, record[65];
    size_t len = 0;
    cv_err ignored;
    uint8_t *row = v->proofs.signature +
                   (size_t)(v->proofs.n - 1) * (size_t)v->n * CV_SIGNED_BYTES;
    cv_hex(record, p->record, 32);
    if (cv_fs_read(path, 1 << 30, &text, &len, &ignored) == 0)
        for (char *line = strtok_r(text, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save)) {
            char said[65], old[65], name[80], sig[131];
            int i;
            if (sscanf(line,
                       "round=%*[0-9] attempt=%*[0-9] record=%64s "
                       "supersedes=%64s silo=%79s signature=%130s",
                       said, old, name, sig) != 4 ||
                strcmp(said, record) != 0)
                continue;
            i = cv_job_silo_index(v->saved.job, name);
            if (i < 0 || i >= v->n)
                continue;
            uint8_t *at = row + (size_t)i * CV_SIGNED_BYTES;
            memset(at, 0, CV_SIGNED_BYTES);
            if (strcmp(old, "-") != 0 && cv_unhex(at, old, 32) != 0)
                continue;
            if (cv_unhex(at + 32, sig, CV_SIG_BYTES) != 0)
                memset(at, 0, CV_SIGNED_BYTES);
        }
    free(text);
    free(path);
    free(dir);
}

/* How many have signed round i; -1 if a signature is not its silo's. */
static int count_signatures(cv_verify *v, int64_t i)
{
    const cv_proof *p = &v->proofs.proof[i];
    const uint8_t *at =
        v->proofs.signature + (size_t)i * (size_t)v->n * CV_SIGNED_BYTES;
    int count = 0;
    for (int s = 0; s < v->n; s++, at += CV_SIGNED_BYTES) {
        uint8_t digest[32];
        cv_sig sig;
        cv_err err = {0};
        if (memcmp(at, zeros, CV_SIGNED_BYTES) == 0)
            continue;
        memcpy(sig.b, at + 32, sizeof sig.b);
        cv_record_signing(digest, v->run_id, p->round, p->record, at);
        if (cv_sig_verify(&sig, &v->identity[s], digest, &err)) {
            cv_verify_say(v, CV_LINE_FAILS, "signatures",
                          "round %lld: the signature of silo %s is not its own "
                          "one of this record",
                          (long long)p->round, v->saved.job->silos[s].name);
            return -1;
        }
        count++;
    }
    return count;
}

void cv_verify_signatures(cv_verify *v)
{
    int64_t last = v->proofs.n - 1, signed_rounds = 0;
    if (!cv_proofs_has_signatures(&v->proofs, last))
        read_log(v);
    for (int64_t i = 0; i <= last; i++) {
        int count = count_signatures(v, i);
        if (count < 0)
            return;
        if (count > 0 && count < v->n) {
            cv_verify_say(v, CV_LINE_FAILS, "signatures",
                          "round %lld: %d of %d silos have signed its record",
                          (long long)v->proofs.proof[i].round, count, v->n);
            return;
        }
        signed_rounds += count > 0;
        v->signed_by = i == last ? count : 0;
    }
    if (v->signed_by < v->n)
        cv_verify_say(v, CV_LINE_FAILS, "signatures",
                      "no silo has signed the newest record, neither in the "
                      "file nor in records.log beside it; if the run was cut "
                      "short, `covey run --resume` has it signed");
    else
        cv_verify_say(v, CV_LINE_RECOMPUTED, "signatures",
                      "all %d silos have signed the newest record, and with it "
                      "those before; %lld of %lld rounds have signatures of "
                      "their own (one a checkpoint)%s",
                      v->n, (long long)signed_rounds, (long long)v->proofs.n,
                      v->saved.job->simulate.enabled
                          ? "; silos are SIMULATED: one party holds all keys"
                          : "");
}

/* ---- rosters ------------------------------------------------------------------------- */

static int64_t members_of(const cv_proof *p)
{
    return (int64_t)(p->members.len / CV_ROSTER_BYTES);
}

static const uint8_t *member_at(const cv_proof *p, int64_t k)
{
    return (const uint8_t *)p->members.data + k * CV_ROSTER_BYTES;
}

/* Why a roster cannot have been one; NULL if it can. */
static const char *wrong_roster(const cv_verify *v, const cv_proof *p)
{
    int64_t n = members_of(p), before = -1;
    uint8_t who[32], digest[32];
    if (p->members.len % CV_ROSTER_BYTES)
        return "is damaged";
    if (n < v->collusion + 2)
        return "has fewer silos than collusion + 2";
    if (n != p->n_silos)
        return "has another number of silos than the history says";
    int *member = CV_NEW(n, int);
    const char *why = NULL;
    for (int64_t k = 0; k < n && !why; k++) {
        int64_t silo = cv_get_le32(member_at(p, k));
        if (silo <= before || silo >= v->n)
            why = "does not list silos of the job, each once";
        member[k] = (int)silo;
        before = silo;
    }
    /* Which rounds were the last of a run is not said: a roster may be of one. */
    int groups = cv_rewards_groups(v->saved.job), fits = 0;
    for (int g = 1; !why && !fits && g <= groups;
         g += groups > 1 ? groups - 1 : 1) {
        cv_members_digest(who, v->saved.job, v->identity, member, (int)n, g);
        cv_roster_digest_of(digest, p, v->run_id, v->saved.job->digest, who,
                            p->members.data, (size_t)n);
        fits = memcmp(digest, p->roster, 32) == 0;
    }
    if (!why && !fits)
        why = "is not the one that was signed: silos, keys, weights, groups, "
              "attempt or what the round went on from differ";
    free(member);
    return why;
}

/* Are the details of the rounds up to place i missing because there was no more
 * room for them?  The oldest that are kept, and the youngest that are not, say. */
static int older_is_gone(const cv_verify *v, int64_t i, int sums)
{
    const cv_proofs *all = &v->proofs;
    size_t kept = 0, most = sums ? CV_PROOFS_SUMS : CV_PROOFS_ROSTERS;
    while (i + 1 < all->n && (sums ? all->proof[i + 1].sums.len
                                   : all->proof[i + 1].members.len) == 0)
        i++;
    const cv_proof *p = &all->proof[i];
    size_t n = p->n_silos > 0 ? (size_t)p->n_silos : 0;
    for (int64_t k = i + 1; k < all->n; k++)
        kept += sums ? all->proof[k].sums.len : all->proof[k].members.len;
    size_t size = sums ? (size_t)p->n_sums * (CV_SUM_HEAD + n * CV_SUM_MEMBER)
                       : n * CV_ROSTER_BYTES;
    return kept + size > most;
}

void cv_verify_rosters(cv_verify *v)
{
    int64_t checked = 0;
    v->taken = CV_NEW(v->n, int64_t);
    for (int64_t i = 0; i < v->proofs.n; i++) {
        const cv_proof *p = &v->proofs.proof[i];
        const char *why = NULL;
        if (p->members.len == 0 && !checked && older_is_gone(v, i, 0))
            continue;
        why = p->members.len ? wrong_roster(v, p) : "was taken out of the file";
        if (why) {
            cv_verify_say(v, CV_LINE_FAILS, "rosters",
                          "round %lld: the roster %s", (long long)p->round,
                          why);
            CV_FREE(v->taken);
            return;
        }
        checked++;
        for (int64_t k = 0; k < members_of(p); k++)
            v->taken[cv_get_le32(member_at(p, k))]++;
    }
    cv_verify_say(v, CV_LINE_RECOMPUTED, "rosters",
                  "%lld rounds: who took part, under which keys, from which "
                  "model; at least %d silos in each",
                  (long long)checked, v->collusion + 2);
    if (checked < v->saved.round) {
        cv_verify_attested(v, "rosters",
                           "%lld older rounds are in the file as digests alone",
                           (long long)(v->saved.round - checked));
        CV_FREE(v->taken);
    }
}

/* ---- sums ----------------------------------------------------------------------------- */

static void read_values(uint64_t *out, const uint8_t *at, int used)
{
    for (int k = 0; k < used; k++)
        out[k] = cv_get_le64(at + 8 * k);
}

/* One sum: challenge again, and do the inner products add up? */
static int sum_holds(const cv_proof *p, const uint8_t *sum, int64_t n,
                     uint64_t step, uint8_t transcript[32])
{
    int used = p->wide ? CV_CHECK_WIDE : CV_CHECK_NARROW;
    uint8_t ctx[32], all[32], challenge[32];
    uint64_t total[CV_CHECK_MAX];
    uint64_t *said = CV_NEW(n * used, uint64_t);
    const uint8_t **commitment = CV_NEW(n, const uint8_t *);
    const uint8_t *member = sum + CV_SUM_HEAD;
    for (int64_t k = 0; k < n; k++, member += CV_SUM_MEMBER) {
        commitment[k] = member;
        read_values(said + k * used, member + 32, used);
    }
    read_values(total, sum + 40, used);
    cv_step_context(ctx, p->roster, step, cv_get_le64(sum));
    cv_commitments_digest(all, ctx, commitment, (size_t)n);
    cv_challenge(challenge, ctx, all, sum + 8);
    cv_transcript_add(transcript, ctx, challenge, sum,
                      CV_SUM_HEAD + (size_t)n * CV_SUM_MEMBER);
    int holds = cv_lincheck_holds(said, (int)n, total, p->wide);
    free(said);
    free(commitment);
    return holds;
}

void cv_verify_sums(cv_verify *v)
{
    int64_t sums = 0, rounds = 0;
    for (int64_t i = 0; i < v->proofs.n; i++) {
        const cv_proof *p = &v->proofs.proof[i];
        int64_t n = members_of(p);
        size_t bytes = CV_SUM_HEAD + (size_t)n * CV_SUM_MEMBER;
        uint8_t transcript[32] = {0};
        const char *why = NULL;
        if (n == 0) /* their digests are left; the rosters' lines say so */
            continue;
        if (p->sums.len == 0 && p->n_sums > 0 && !rounds &&
            older_is_gone(v, i, 1))
            continue;
        if (p->sums.len % bytes || (int64_t)(p->sums.len / bytes) != p->n_sums)
            why = "are not as many as the record says";
        for (int64_t k = 0; k < p->n_sums && !why; k++)
            if (!sum_holds(p, (const uint8_t *)p->sums.data + (size_t)k * bytes,
                           n, (uint64_t)k, transcript))
                why = "have inner products that do not add up";
        if (!why && memcmp(transcript, p->transcript, 32) != 0)
            why = "are not those of the transcript that was signed "
                  "(commitments, H(S), challenge or inner products differ)";
        if (why) {
            cv_verify_say(v, CV_LINE_FAILS, "sums", "round %lld: its sums %s",
                          (long long)p->round, why);
            return;
        }
        sums += p->n_sums;
        rounds++;
    }
    cv_verify_say(v, CV_LINE_RECOMPUTED, "sums",
                  "%lld sums of %lld rounds: challenges, and that the silos' "
                  "inner products add up to the sum's",
                  (long long)sums, (long long)rounds);
    if (rounds < v->proofs.n)
        cv_verify_attested(v, "sums",
                           "those of %lld older rounds are in the file as "
                           "digests alone",
                           (long long)(v->proofs.n - rounds));
    cv_verify_attested(v, "sums",
                       "that the inner products are those of the committed "
                       "vectors and of S (the vectors are gone), and that the "
                       "step of the server followed");
}
