/* What silos have signed for the chain: attestations of heads, rewards. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "jobs/run_outbox.h"
#include "jobs/verify.h"

static const uint8_t no_sig[CV_SIG_BYTES];

static int signed_by(const cv_sig *sig, const cv_address *who,
                     const uint8_t digest[32])
{
    cv_address found;
    cv_err ignored;
    return cv_sig_recover_address(sig, &found, digest, &ignored) == 0 &&
           memcmp(found.b, who->b, sizeof found.b) == 0;
}

/* ---- who attests ----------------------------------------------------------------- */

/* Attesters of the file: bound by their identities, and all behind the run's
 * opening. 1 if so. */
static int load_attesters(cv_verify *v)
{
    const cv_federation *f = &v->terms.federation;
    cv_address *attesters = CV_NEW(v->n, cv_address);
    cv_run_terms run = {.attesters = attesters,
                        .n = (uint32_t)v->n,
                        .collusion = (uint32_t)v->collusion};
    cv_err err = {0};
    const char *bad = NULL;
    int who = 0;
    v->silo = CV_NEW(v->n, cv_outbox_silo);
    int rc = cv_load_attesters(v->saved.file, v->saved.job, v->identity,
                               v->silo, &err);
    for (int i = 0; i < v->n && !rc && !bad; i++) {
        cv_outbox_silo *o = &v->silo[i];
        uint8_t digest[32];
        cv_address self;
        attesters[i] = o->attester;
        rc = cv_pubkey_address(&self, &o->identity, &err);
        cv_attester_digest(digest, f, &self, &o->attester, 0);
        who = i;
        if (!rc && !signed_by(&o->binding, &self, digest))
            bad = "its identity has not signed for the attestation key";
    }
    memcpy(run.salt, v->run_id, 32);
    memcpy(run.job, v->saved.job->digest, 32);
    cv_chain_run_id(v->contract_id, &run);
    cv_opening_digest(v->genesis, f, &run);
    for (int i = 0; i < v->n && !rc && !bad; i++) {
        who = i;
        if (!signed_by(&v->silo[i].opening, &attesters[i], v->genesis))
            bad = "its attester has not signed the run's opening";
    }
    if (rc)
        cv_verify_error(v, "attestations", &err);
    else if (bad)
        cv_verify_say(v, CV_LINE_FAILS, "attestations", "silo %s: %s",
                      v->saved.job->silos[who].name, bad);
    free(attesters);
    return !rc && !bad;
}

/* ---- heads --------------------------------------------------------------------------- */

/* The outbox has what a run that was cut short could not put into the file. */
static void read_newest(cv_verify *v)
{
    int64_t last = v->proofs.n - 1;
    char *dir = cv_fs_dirname(v->path), *path = cv_fs_join(dir, "outbox.db");
    cv_outbox *o = NULL;
    cv_outbox_run run = {0};
    cv_outbox_rounds r = {0};
    cv_err ignored;
    int found = 0, has_run = 0;
    /* Signatures are as many as its run has silos. */
    if (cv_fs_exists(path) && cv_outbox_open(path, 0, &o, &ignored) == 0 &&
        cv_outbox_load_run(o, &run, &has_run, &ignored) == 0 && has_run &&
        run.n == (uint32_t)v->n && memcmp(run.run_id, v->run_id, 32) == 0 &&
        cv_outbox_load_rounds(o, &r, &found, (uint64_t)v->saved.round,
                              &ignored) == 0 &&
        found && r.last == (uint64_t)v->saved.round)
        for (int i = 0; i < v->n; i++)
            memcpy(v->proofs.attestation +
                       ((size_t)last * (size_t)v->n + (size_t)i) * CV_SIG_BYTES,
                   r.sigs[i].b, CV_SIG_BYTES);
    if (found)
        cv_outbox_rounds_free(&r);
    if (has_run)
        cv_outbox_run_free(&run);
    cv_outbox_close(&o);
    free(path);
    free(dir);
}

/* Attesters that have signed the rounds up to place i; -1: one is false. */
static int count_attestations(cv_verify *v, int64_t i,
                              const uint8_t first_before[32])
{
    const cv_attested *a = &v->proofs.attested[i];
    const uint8_t *at =
        v->proofs.attestation + (size_t)i * (size_t)v->n * CV_SIG_BYTES;
    uint8_t digest[32];
    int count = 0;
    cv_rounds_digest(digest, &v->terms.federation, v->contract_id,
                     v->saved.job->digest, (uint64_t)a->span.first,
                     (uint64_t)v->proofs.proof[i].round, first_before,
                     a->after);
    for (int s = 0; s < v->n; s++, at += CV_SIG_BYTES) {
        cv_sig sig;
        if (memcmp(at, no_sig, sizeof no_sig) == 0)
            continue;
        memcpy(sig.b, at, sizeof sig.b);
        if (!signed_by(&sig, &v->silo[s].attester, digest)) {
            cv_verify_say(v, CV_LINE_FAILS, "attestations",
                          "round %lld: that of silo %s is not its attester's "
                          "one of this head",
                          (long long)v->proofs.proof[i].round,
                          v->saved.job->silos[s].name);
            return -1;
        }
        count++;
    }
    return count;
}

/* Heads from the opening on. 1 if the file's are these. */
static int check_heads(cv_verify *v, uint8_t (*before)[32])
{
    uint8_t head[32];
    memcpy(head, v->genesis, 32);
    for (int64_t i = 0; i < v->proofs.n; i++) {
        const cv_attested *a = &v->proofs.attested[i];
        int64_t first = cv_proofs_at(&v->proofs, a->span.first);
        memcpy(before[i], head, 32);
        cv_head_step(head, (uint64_t)v->proofs.proof[i].round,
                     v->proofs.proof[i].record);
        if (first < 0 || first > i || memcmp(a->span.before, before[i], 32) ||
            memcmp(a->span.first_before, before[first], 32) ||
            memcmp(a->after, head, 32)) {
            cv_verify_say(v, CV_LINE_FAILS, "attestations",
                          "round %lld: the chain's head is not what opening "
                          "and records come to",
                          (long long)v->proofs.proof[i].round);
            return 0;
        }
    }
    return 1;
}

/* What chain and rewards go on from, by rosters (or, where older ones are gone, by
 * /silos) and counts. */
static int paid_holds(cv_verify *v)
{
    const cv_proofs *all = &v->proofs;
    size_t n = (size_t)v->n;
    for (int i = 0; i < v->n_lines; i++) /* that line says it already */
        if (v->line[i].kind == CV_LINE_FAILS &&
            strcmp(v->line[i].what, "rosters") == 0)
            return 1;
    int values = cv_h5_has(v->saved.file, "/proofs/coalitions")
                     ? 1 << cv_rewards_groups(v->saved.job)
                     : 0;
    int64_t *taken = CV_NEW(n, int64_t), *count = CV_NEW(values, int64_t);
    uint8_t digest[32];
    cv_err ignored;
    cv_chain_state s = {&all->attested[all->n - 1].span, taken, v->n, count,
                        values};
    int same =
        (v->taken || cv_h5_get_column(v->saved.file, "/silos", "rounds_taken",
                                      CV_H5_I64, taken, v->n, &ignored) == 0) &&
        (!values || cv_h5_get(v->saved.file, "/proofs/coalitions", CV_H5_I64,
                              count, (size_t)values, &ignored) == 0);
    if (v->taken)
        memcpy(taken, v->taken, n * sizeof *taken);
    cv_paid_digest(digest, &s);
    free(taken);
    free(count);
    return same && memcmp(digest, all->proof[all->n - 1].paid, 32) == 0;
}

void cv_verify_attestations(cv_verify *v)
{
    int64_t last = v->proofs.n - 1;
    int quorum =
        (int)cv_federation_quorum((uint32_t)v->n, (uint32_t)v->collusion);
    int newest = 0;
    if (!cv_h5_has(v->saved.file, "/proofs/attesters") ||
        v->proofs.proof[0].round != 1) {
        cv_verify_say(v, CV_LINE_FAILS, "attestations",
                      "the job settles on a chain, and the file has no "
                      "attestations from its first round on");
        return;
    }
    if (!load_attesters(v))
        return;
    uint8_t(*before)[32] = cv_calloc((size_t)v->proofs.n, sizeof *before);
    int holds = check_heads(v, before);
    if (holds && memcmp(v->proofs.attestation +
                            (size_t)last * (size_t)v->n * CV_SIG_BYTES,
                        no_sig, sizeof no_sig) == 0)
        read_newest(v);
    for (int64_t i = 0; i <= last && holds; i++) {
        int64_t first =
            cv_proofs_at(&v->proofs, v->proofs.attested[i].span.first);
        newest = count_attestations(v, i, before[first]);
        holds = newest >= 0;
    }
    free(before);
    if (!holds)
        return;
    if (!paid_holds(v)) {
        cv_verify_say(v, CV_LINE_FAILS, "attestations",
                      "rounds that silos took part in, or test counts of "
                      "coalitions, are not those of the newest record");
        return;
    }
    if (newest < quorum) {
        cv_verify_say(v, CV_LINE_FAILS, "attestations",
                      "%d of %d attesters have signed the newest head, the "
                      "contract wants %d; if the run was cut short, `covey run "
                      "--resume` has it signed",
                      newest, v->n, quorum);
        return;
    }
    v->chain_holds = 1;
    char hex[65];
    cv_hex(hex, v->proofs.attested[last].after, 32);
    cv_verify_say(v, CV_LINE_RECOMPUTED, "attestations",
                  "heads follow from opening and records; %d of %d attesters, "
                  "bound by their silos' identities, have signed the newest "
                  "(%d needed), %s",
                  newest, v->n, quorum, hex);
}

/* ---- rewards ----------------------------------------------------------------------------- */

static const char *method_name(const cv_job *job)
{
    size_t n;
    return cv_job_words("chain.rewards.method", &n)[job->chain.rewards.method];
}

/* The counts that the run goes on from are those that were paid for. */
static int same_coalitions(cv_verify *v, const cv_rewards *r)
{
    size_t n = (size_t)r->n_values;
    int64_t *have = CV_NEW(n, int64_t);
    cv_err ignored;
    int same = cv_h5_get(v->saved.file, "/proofs/coalitions", CV_H5_I64, have,
                         n, &ignored) == 0 &&
               memcmp(have, r->value, n * sizeof *have) == 0;
    free(have);
    return same;
}

/* What the silos' numbers rest on; NULL if they cannot be so. */
static const char *check_basis(cv_verify *v, cv_line_kind *kind)
{
    const cv_job *job = v->saved.job;
    cv_reward_method m = job->chain.rewards.method;
    cv_rewards *r = &v->rewards;
    *kind = CV_LINE_RECOMPUTED;
    if (cv_rewards_declares(m)) {
        for (int i = 0; i < v->n; i++) {
            uint8_t digest[32];
            cv_err ignored;
            if (r->basis[i] == 0 &&
                memcmp(r->count_sig[i].b, no_sig, sizeof no_sig) == 0)
                continue; /* it told a count that cannot be */
            cv_rewards_count_digest(digest, v->run_id, m, r->round,
                                    r->basis[i]);
            if (cv_sig_verify(&r->count_sig[i], &v->identity[i], digest,
                              &ignored))
                return NULL;
        }
        return "each silo's count is its own word, signed; nobody else can "
               "check it";
    }
    for (int i = 0; i < v->n; i++) /* the method reads none */
        if (memcmp(r->count_sig[i].b, no_sig, sizeof no_sig) != 0)
            return NULL;
    if (m == CV_REWARD_SHAPLEY) {
        int64_t *basis = CV_NEW(v->n, int64_t);
        int same = r->n_values == 1 << job->chain.rewards.groups &&
                   same_coalitions(v, r);
        if (same)
            cv_rewards_shapley(basis, r->value, v->n,
                               job->chain.rewards.groups);
        same =
            same && memcmp(basis, r->basis, (size_t)v->n * sizeof *basis) == 0;
        free(basis);
        *kind = CV_LINE_ATTESTED;
        return same ? "from the test counts of coalitions, which every silo "
                      "made for itself"
                    : NULL;
    }
    if (!v->taken) {
        *kind = CV_LINE_ATTESTED;
        return "who took part in old rounds is attested";
    }
    for (int i = 0; i < v->n; i++) {
        int64_t want = v->taken[i] == 0          ? 0
                       : m == CV_REWARD_DECLARED ? job->silos[i].share
                                                 : 1;
        if (r->basis[i] != want)
            return NULL;
    }
    return m == CV_REWARD_DECLARED ? "by the job's shares, to who took part"
                                   : "the same to each silo that took part";
}

/* Silos, payees and amounts of the table that people read. */
static int table_holds(cv_verify *v)
{
    const cv_job *job = v->saved.job;
    char **silo = NULL, **payee = NULL, **amount = NULL;
    cv_err ignored;
    int same = cv_h5_get_column_strings(v->saved.file, "/rewards/silos", "silo",
                                        &silo, v->n, &ignored) == 0 &&
               cv_h5_get_column_strings(v->saved.file, "/rewards/silos",
                                        "payee", &payee, v->n, &ignored) == 0 &&
               cv_h5_get_column_strings(v->saved.file, "/rewards/silos",
                                        "amount", &amount, v->n, &ignored) == 0;
    for (int i = 0; i < v->n && same; i++) {
        char who[CV_ADDRESS_TEXT], what[CV_UNITS_TEXT];
        cv_address_text(who, &v->rewards.payee[i]);
        cv_u256_units(what, &v->rewards.amount[i], job->chain.rewards.decimals);
        same = strcmp(job->silos[i].name, silo[i]) == 0 &&
               strcmp(who, payee[i]) == 0 && strcmp(what, amount[i]) == 0;
    }
    cv_strings_free(&silo, (size_t)v->n);
    cv_strings_free(&payee, (size_t)v->n);
    cv_strings_free(&amount, (size_t)v->n);
    return same;
}

static int fill_again(cv_verify *v, cv_err *err)
{
    cv_rewards *r = &v->rewards;
    uint32_t version = r->epoch.version;
    int rc = 0;
    for (int i = 0; i < v->n && !rc; i++)
        rc =
            cv_chain_payee(v->saved.job, i, &v->identity[i], &r->payee[i], err);
    return rc ? rc
              : cv_rewards_fill(r, &v->terms, v->contract_id,
                                v->proofs.attested[v->proofs.n - 1].after,
                                version, err);
}

void cv_verify_rewards(cv_verify *v)
{
    cv_line_kind kind;
    cv_err err = {0};
    int count = 0, other = 0;
    int quorum =
        (int)cv_federation_quorum((uint32_t)v->n, (uint32_t)v->collusion);
    if (!v->terms.has_rewards)
        return;
    if (cv_rewards_load(v->saved.file, &v->rewards, v->n, &err)) {
        cv_verify_error(v, "rewards", &err);
        return;
    }
    if (v->rewards.n == 0) {
        cv_verify_say(v, CV_LINE_UNCHECKED, "rewards",
                      "none yet: they are signed when the run is done");
        return;
    }
    const char *why = check_basis(v, &kind);
    if (!why) {
        cv_verify_say(v, CV_LINE_FAILS, "rewards",
                      "what the silos are paid for is not what method %s "
                      "counts",
                      method_name(v->saved.job));
        return;
    }
    if (v->rewards.epoch.epoch != 1) { /* a run has one; `fill` makes it so */
        cv_verify_say(v, CV_LINE_FAILS, "rewards",
                      "/rewards says epoch %llu, a run has epoch 1 alone",
                      (unsigned long long)v->rewards.epoch.epoch);
        return;
    }
    if (v->rewards.round != v->saved.round || fill_again(v, &err)) {
        cv_verify_say(v, CV_LINE_FAILS, "rewards",
                      "they are not of the newest round%s%s",
                      err.text[0] ? ": " : "", err.text);
        return;
    }
    uint8_t digest[32];
    cv_epoch_digest(digest, &v->terms.federation, &v->rewards.epoch);
    for (int i = 0; i < v->n; i++) {
        const cv_sig *sig = &v->rewards.sig[i];
        if (signed_by(sig, &v->silo[i].attester, digest))
            count++;
        else if (memcmp(sig->b, no_sig, sizeof no_sig) != 0)
            other++;
    }
    if (count >= quorum && other) {
        cv_verify_say(v, CV_LINE_FAILS, "rewards",
                      "%d of their signatures are not the attesters' ones of "
                      "this epoch",
                      other);
        return;
    }
    if (count < quorum || !table_holds(v)) {
        cv_verify_say(
            v, CV_LINE_FAILS, "rewards",
            count < quorum
                ? "the amounts that follow from the job are not those "
                  "that a quorum has signed"
                : "/rewards/silos shows other silos, payees or "
                  "amounts than were signed");
        return;
    }
    char total[CV_UNITS_TEXT];
    cv_u256_units(total, &v->rewards.epoch.total,
                  v->saved.job->chain.rewards.decimals);
    cv_verify_say(v, CV_LINE_RECOMPUTED, "rewards",
                  "%s tokens to %u payees by method %s; signed by %d of %d "
                  "attesters",
                  total, v->rewards.epoch.leaves, method_name(v->saved.job),
                  count, v->n);
    if (kind == CV_LINE_ATTESTED)
        cv_verify_attested(v, "rewards", "%s", why);
    else
        cv_verify_say(v,
                      cv_rewards_declares(v->saved.job->chain.rewards.method)
                          ? CV_LINE_UNCHECKED
                          : kind,
                      "rewards", "%s", why);
}

/* ---- the outbox beside the file ------------------------------------------------------------ */

void cv_verify_outbox(cv_verify *v)
{
    char *dir = cv_fs_dirname(v->path), *path = cv_fs_join(dir, "outbox.db");
    int64_t last = v->proofs.n - 1;
    cv_outbox *o = NULL;
    cv_outbox_run run = {0};
    cv_outbox_rounds r = {0};
    cv_err err = {0};
    int found = 0, has = 0, rc;
    uint64_t newest = 0;
    if (!cv_fs_exists(path))
        goto out;
    rc = cv_outbox_open(path, 0, &o, &err);
    if (!rc)
        rc = cv_outbox_load_run(o, &run, &found, &err);
    if (!rc)
        rc = cv_outbox_last_round(o, &newest, &err);
    if (!rc)
        rc = cv_outbox_load_rounds(o, &r, &has, (uint64_t)v->saved.round, &err);
    if (rc)
        cv_verify_error(v, "outbox", &err);
    else if (!found || memcmp(run.run_id, v->run_id, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "outbox",
                      "outbox.db is that of another run");
    else if (has && r.last == (uint64_t)v->saved.round &&
             memcmp(r.after, v->proofs.attested[last].after, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "outbox",
                      "round %lld: outbox.db holds another record",
                      (long long)v->saved.round);
    else if (has && newest > (uint64_t)v->saved.round)
        cv_verify_say(v, CV_LINE_UNCHECKED, "outbox",
                      "outbox.db beside it knows rounds up to %llu: this is an "
                      "older checkpoint of the run, or was put back",
                      (unsigned long long)newest);
    else if (has)
        cv_verify_say(v, CV_LINE_RECOMPUTED, "outbox",
                      "rounds up to %llu wait there or have been sent, this "
                      "file's among them",
                      (unsigned long long)newest);
    else
        cv_verify_say(v, CV_LINE_UNCHECKED, "outbox",
                      "it ends before this file; `covey settle` fills it from "
                      "run.h5");
    if (has)
        cv_outbox_rounds_free(&r);
    if (found)
        cv_outbox_run_free(&run);
out:
    cv_outbox_close(&o);
    free(path);
    free(dir);
}
