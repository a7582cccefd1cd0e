/* What a file says beside what is signed: labels that repeat the job, tables for
 * readers, and things that no run writes.  The root alone fills these in. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/verify.h"
#include "solver/strategy.h"

static int fails(cv_verify *v, const char *what, const char *text)
{
    cv_verify_say(v, CV_LINE_FAILS, what, "%s", text);
    return 0;
}

/* ---- labels ---------------------------------------------------------------------- */

static int attr_is(cv_verify *v, const char *path, const char *name,
                   const char *want)
{
    char *text = NULL;
    cv_err ignored;
    int same = cv_h5_get_attr_string(v->saved.file, path, name, &text,
                                     &ignored) == 0 &&
               strcmp(text, want) == 0;
    free(text);
    if (!same)
        cv_verify_say(v, CV_LINE_FAILS, "labels",
                      "%s: %s is not '%s', as the job and its records have it",
                      path, name, want);
    return same;
}

static int attr_counts(cv_verify *v, const char *path, const char *name,
                       int64_t want)
{
    int64_t found;
    cv_err ignored;
    int same =
        cv_h5_get_attr_i64(v->saved.file, path, name, &found, &ignored) == 0 &&
        found == want;
    if (!same)
        cv_verify_say(v, CV_LINE_FAILS, "labels",
                      "%s: %s is not %lld, as the job and its records have it",
                      path, name, (long long)want);
    return same;
}

/* The noise that is counted on: all silos' but that of the colluding ones, or
 * that of as few as the ledger has charged. */
static int honest_holds(const cv_verify *v)
{
    const cv_saved_privacy *s = &v->privacy;
    const cv_job *job = v->saved.job;
    int64_t most = v->n - v->collusion;
    if (s->n && !(job->privacy.unit == CV_UNIT_RECORD &&
                  job->privacy.noise == CV_NOISE_LOCAL)) {
        int64_t left_out = v->proofs.proof[v->proofs.n - 1].n_silos -
                           s->segment[s->n - 1].integers.shares;
        if (left_out > v->collusion)
            most = v->n - left_out;
        return s->honest == most;
    }
    return s->honest <= most;
}

static int privacy_holds(cv_verify *v)
{
    if (!v->saved.job->privacy.enabled)
        return 1;
    const char *wrong = cv_saved_privacy_wrong(v->saved.file, v->saved.job);
    if (!wrong && !honest_holds(v))
        wrong = "honest";
    if (wrong)
        cv_verify_say(v, CV_LINE_FAILS, "labels",
                      "/privacy: %s is not what job and ledger say", wrong);
    return !wrong;
}

void cv_verify_labels(cv_verify *v)
{
    const cv_job *job = v->saved.job;
    const cv_proof *last = &v->proofs.proof[v->proofs.n - 1];
    const char *target = v->saved.schema->target.name; /* pca has none */
    int64_t n = (int64_t)cv_saved_params(&v->saved)->n;
    if (attr_is(v, "/model", "kind", job->model.kind) &&
        (!job->model.n_hidden ||
         attr_is(v, "/model", "activation", job->model.activation)) &&
        attr_counts(v, "/model", "parameters", n) &&
        attr_is(v, "/optimizer", "strategy", job->training.strategy) &&
        (!target || attr_is(v, "/data", "target", target)) &&
        attr_counts(v, "/proofs", "attempt", last->attempt) &&
        attr_counts(v, "/proofs", "collusion", v->collusion) &&
        privacy_holds(v))
        cv_verify_say(v, CV_LINE_RECOMPUTED, "labels",
                      "what is said of model, data and privacy is what job and "
                      "records say");
}

/* ---- history --------------------------------------------------------------------- */

/* The records hold numbers in an order: here are their names. */
static int columns_hold(const cv_verify *v)
{
    static const char *const fixed[] = {"round", "silos", "train_loss",
                                        "update"};
    enum { FIXED = sizeof fixed / sizeof *fixed };
    const char *metric[CV_MAX_METRICS];
    double sums[CV_MAX_METRICS] = {0}, none[CV_MAX_METRICS];
    int n_metrics =
        v->saved.fit ? 0 : cv_model_metrics(v->saved.model, sums, none, metric);
    int is_private = v->saved.job->privacy.enabled, at = 0;
    char **name = NULL;
    size_t n = 0;
    cv_err ignored;
    int same = cv_h5_table_columns(v->saved.file, "/history", &name, &n,
                                   &ignored) == 0;
    for (size_t c = 0; c < n && same; c++) {
        int k = at - FIXED;
        if (strncmp(name[c], "seconds_", 8) == 0)
            continue;
        if (at < FIXED)
            same = strcmp(name[c], fixed[at]) == 0;
        else if (k < n_metrics)
            same = strncmp(name[c], "test_", 5) == 0 &&
                   strcmp(name[c] + 5, metric[k]) == 0;
        else
            same =
                is_private && k == n_metrics && strcmp(name[c], "epsilon") == 0;
        at++;
    }
    cv_strings_free(&name, n);
    return same && at == FIXED + n_metrics + is_private;
}

/* Rounds are counted from 1, and epsilon never falls: its newest value is the
 * ledger's line's. */
static int rows_hold(const cv_verify *v)
{
    int64_t n = v->saved.round, *whole = CV_NEW(n, int64_t);
    double *real = CV_NEW(n, double);
    cv_h5_reader *r = v->saved.file;
    cv_err ignored;
    int same = cv_h5_get_column(r, "/history", "round", CV_H5_I64, whole, n,
                                &ignored) == 0;
    for (int64_t i = 0; i < n && same; i++)
        same = whole[i] == i + 1;
    /* As whole numbers: records were compared with them as such. */
    same = same && cv_h5_get_column(r, "/history", "silos", CV_H5_I64, whole, n,
                                    &ignored) == 0;
    if (v->saved.job->privacy.enabled && same) {
        same = cv_h5_get_column(r, "/history", "epsilon", CV_H5_F64, real, n,
                                &ignored) == 0;
        for (int64_t i = 0; i < n && same; i++)
            same = real[i] >= (i ? real[i - 1] : 0.0);
    }
    free(whole);
    free(real);
    return same;
}

void cv_verify_history(cv_verify *v)
{
    if (!columns_hold(v))
        fails(v, "history",
              "/history has other columns than the job's model, or in another "
              "order: numbers stand under wrong names");
    else if (!rows_hold(v))
        fails(v, "history",
              "/history does not count its rounds from 1, or its epsilon falls "
              "from one round to the next");
    else
        cv_verify_say(v, CV_LINE_RECOMPUTED, "history",
                      "silos, losses and test metrics are those of the "
                      "records%s",
                      v->proofs.proof[0].round > 1 ? ", as far back as these go"
                                                   : "");
}

/* ---- silos ----------------------------------------------------------------------- */

static int same_words(const cv_verify *v, const char *column,
                      const char *(*want)(const cv_job *job, int i))
{
    char **have = NULL;
    cv_err ignored;
    int same = cv_h5_get_column_strings(v->saved.file, "/silos", column, &have,
                                        v->n, &ignored) == 0;
    for (int i = 0; i < v->n && same; i++)
        same = strcmp(have[i], want(v->saved.job, i)) == 0;
    cv_strings_free(&have, (size_t)v->n);
    return same;
}

static const char *name_of(const cv_job *job, int i)
{
    return job->silos[i].name;
}

static const char *key_of(const cv_job *job, int i)
{
    return job->silos[i].public_key ? job->silos[i].public_key : "";
}

/* As jobs/prepare.c weighs them; not told where rows would tell of the data. */
static int shares_hold(const cv_verify *v)
{
    const cv_job *job = v->saved.job;
    double *have = CV_NEW(v->n, double), total = 0.0;
    cv_err ignored;
    int declared = job->training.weights == CV_WEIGHTS_DECLARED;
    int same = cv_h5_get_column(v->saved.file, "/silos", "share", CV_H5_F64,
                                have, v->n, &ignored) == 0;
    for (int i = 0; i < v->n; i++)
        total += declared ? job->silos[i].weight : 1.0;
    for (int i = 0; i < v->n && same; i++) {
        double want = (declared ? job->silos[i].weight : 1.0) / total;
        same = job->training.weights == CV_WEIGHTS_ROWS ? isnan(have[i])
                                                        : have[i] == want;
    }
    free(have);
    return same;
}

static int is_member(const cv_proof *p, int silo)
{
    for (size_t at = 0; at + CV_ROSTER_BYTES <= p->members.len;
         at += CV_ROSTER_BYTES)
        if (cv_get_le32((const uint8_t *)p->members.data + at) ==
            (uint32_t)silo)
            return 1;
    return 0;
}

/* By the rosters, as far as these are there. */
static int rounds_hold(const cv_verify *v)
{
    const cv_proof *last = &v->proofs.proof[v->proofs.n - 1];
    int64_t *taken = CV_NEW(v->n, int64_t);
    int32_t *status = CV_NEW(v->n, int32_t);
    cv_h5_reader *r = v->saved.file;
    cv_err ignored;
    int same = cv_h5_get_column(r, "/silos", "rounds_taken", CV_H5_I64, taken,
                                v->n, &ignored) == 0 &&
               cv_h5_get_column(r, "/silos", "status", CV_H5_I32, status, v->n,
                                &ignored) == 0;
    for (int i = 0; i < v->n && same; i++) {
        same = v->taken ? taken[i] == v->taken[i]
                        : taken[i] >= 0 && taken[i] <= v->saved.round;
        if (last->members.len)
            same = same && (status[i] == 1) == is_member(last, i);
        same = same && status[i] >= 0 && status[i] <= 3;
    }
    free(taken);
    free(status);
    return same;
}

void cv_verify_silos(cv_verify *v)
{
    int64_t rows = 0;
    cv_err ignored;
    if (cv_h5_table_rows(v->saved.file, "/silos", &rows, &ignored) ||
        rows != v->n || !same_words(v, "name", name_of) ||
        !same_words(v, "public_key", key_of))
        fails(v, "silos", "/silos does not list the job's silos and keys");
    else if (!shares_hold(v))
        fails(v, "silos", "/silos shows other shares than the job gives");
    else if (!rounds_hold(v))
        fails(v, "silos",
              "/silos shows other rounds, or another last round, than the "
              "rosters do");
    else if (v->taken)
        cv_verify_say(v, CV_LINE_RECOMPUTED, "silos",
                      "names, keys and shares are the job's, rounds those of "
                      "the rosters");
    else
        cv_verify_say(v, CV_LINE_UNCHECKED, "silos",
                      "names, keys and shares are the job's; how many rounds a "
                      "silo took part in is the root's word, for rosters are "
                      "not all there");
}

/* ---- what no run writes ------------------------------------------------------------ */

typedef struct {
    char **path; /* (n) arrays, and (owned) groups that end with "/" */
    size_t n, cap;
} known;

static void know(known *k, const char *path)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 64;
        k->path = cv_realloc(k->path, k->cap, sizeof *k->path);
    }
    k->path[k->n++] = cv_strdup(path);
}

static void know_below(known *k, const char *top, const char *name)
{
    char *path = cv_asprintf("%s/%s", top, name);
    know(k, path);
    free(path);
}

static void know_all(known *k, const cv_verify *v)
{
    static const char *const always[] = {"/job",
                                         "/history",
                                         "/silos",
                                         "/optimizer/grid_exponent",
                                         "/data/schema",
                                         "/data/columns",
                                         "/data/shift",
                                         "/data/unit",
                                         "/proofs/rounds",
                                         "/proofs/record",
                                         "/proofs/previous",
                                         "/proofs/start_model",
                                         "/proofs/start_state",
                                         "/proofs/roster",
                                         "/proofs/transcript",
                                         "/proofs/leaves",
                                         "/proofs/data",
                                         "/proofs/model",
                                         "/proofs/server",
                                         "/proofs/ledger",
                                         "/proofs/plan",
                                         "/proofs/chain",
                                         "/proofs/members",
                                         "/proofs/sum_details",
                                         "/proofs/signatures",
                                         "/proofs/identity"};
    static const char *const chain[] = {"/proofs/heads", "/proofs/attestations",
                                        "/proofs/attesters"};
    static const char *const rewards[] = {
        "/rewards/silos", "/rewards/count_signatures", "/rewards/signatures"};
    const cv_job *job = v->saved.job;
    const cv_params *p = cv_saved_params(&v->saved);
    const cv_strategy *st = cv_strategy_find(job->training.strategy);
    size_t n_result = 0;
    char **result = cv_verify_result_names(v, &n_result);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        know(k, always[i]);
    for (size_t i = 0; i < 3 && v->on_chain; i++)
        know(k, chain[i]);
    for (size_t i = 0; i < 3 && v->terms.has_rewards; i++)
        know(k, rewards[i]);
    if (v->terms.has_rewards &&
        job->chain.rewards.method == CV_REWARD_SHAPLEY) {
        know(k, "/rewards/coalitions");
        know(k, "/proofs/coalitions");
    }
    if (job->privacy.enabled)
        know(k, "/privacy/ledger");
    if (v->saved.schema->target.n_levels)
        know(k, "/data/classes");
    for (int i = 0; i < p->n_views; i++)
        know_below(k, "/model/params", p->views[i].name);
    for (int i = 0; st && i < st->n_server; i++)
        know_below(k, "/optimizer", st->server_names[i]);
    for (size_t i = 0; i < n_result; i++)
        know(k, result[i]);
    cv_strings_free(&result, n_result);
}

/* Is path one of them, or a group above one? Attributes are found with a tab in
 * them, which no path has. */
static int is_known(const known *k, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < k->n; i++)
        if (strncmp(k->path[i], path, n) == 0 &&
            (k->path[i][n] == '\0' || k->path[i][n] == '/'))
            return 1;
    return 0;
}

/* Notes and units stand anywhere; what else an object may be called. */
static int is_known_attr(const known *k, const char *path, const char *name)
{
    static const char *const allowed[][2] = {
        {"/", " format_version program run_id round job_digest created "},
        {"/model", " kind activation parameters digest "},
        {"/optimizer", " strategy "},
        {"/data", " target "},
        {"/proofs", " record attempt collusion "},
        {"/privacy", " unit adjacency mechanism noise accountant silos "
                     "noise_multiplier clip delta epsilon_cap epsilon "
                     "sensitivity grid_bits grid_exponent field_bits honest "},
        {"/rewards", " epoch version round "}};
    char *word = cv_asprintf(" %s ", name);
    int found = strcmp(name, "description") == 0 || strcmp(name, "unit") == 0 ||
                strncmp(name, "unit:", 5) == 0;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !found; i++)
        found = strcmp(path, allowed[i][0]) == 0 && !strchr(name, ' ') &&
                strstr(allowed[i][1], word);
    free(word);
    word = cv_asprintf("%s" CV_VERIFY_ATTRIBUTE "%s", path, name);
    for (size_t i = 0; i < k->n && !found; i++)
        found = strcmp(k->path[i], word) == 0;
    free(word);
    return found;
}

/* The first thing at or below path that is not known, malloc'd; or NULL. */
static char *find_unknown(cv_h5_reader *r, const known *k, const char *path)
{
    char **name = NULL, *bad = NULL;
    size_t n = 0;
    cv_err ignored;
    if (cv_h5_attributes(r, path, &name, &n, &ignored))
        return cv_strdup(path);
    for (size_t i = 0; i < n && !bad; i++)
        if (!is_known_attr(k, path, name[i]))
            bad = cv_asprintf("attribute '%.100s' of %.200s", name[i], path);
    cv_strings_free(&name, n);
    if (bad || cv_h5_members(r, path, &name, &n, &ignored))
        return bad; /* an array has no members */
    for (size_t i = 0; i < n && !bad; i++) {
        char *below = cv_asprintf("%s/%s", path[1] ? path : "", name[i]);
        bad = is_known(k, below) ? find_unknown(r, k, below)
                                 : cv_asprintf("%.300s", below);
        free(below);
    }
    cv_strings_free(&name, n);
    return bad;
}

void cv_verify_rest(cv_verify *v)
{
    known k = {0};
    know_all(&k, v);
    char *bad = find_unknown(v->saved.file, &k, "/");
    for (char *c = bad; c && *c; c++) /* whatever terminal shows it */
        if (*c < ' ' || *c > '~')
            *c = '?';
    if (bad)
        cv_verify_say(v, CV_LINE_FAILS, "rest",
                      "the file holds %s, which no run of this job writes",
                      bad);
    else
        cv_verify_say(v, CV_LINE_UNCHECKED, "rest",
                      "the root's word alone: created, program, seconds%s, "
                      "grid_exponent of /optimizer, descriptions and units",
                      v->saved.job->privacy.enabled
                          ? ", epsilon of rounds before the newest"
                          : "");
    free(bad);
    cv_strings_free(&k.path, k.n);
}
