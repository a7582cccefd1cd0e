/* One round, as DESIGN section 3 describes it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/rand.h"
#include "jobs/round.h"
#include "jobs/secure.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/quantise.h"

typedef struct {
    uint8_t *drawn; /* (n_silos) */
    double *report; /* (n_silos, CV_R_FIELDS) */
    double *mine;   /* (n_hosted, CV_R_FIELDS) */
    int n_ready;
    double weight; /* sum of p_i over the roster */
    double factor; /* tau_eff of the roster */
} round_state;

/* Masked sums without noise: sums over other sets of silos could be subtracted
 * from one another, so the sets are fixed, and disjoint. */
static void draw_group(const cv_run *run, uint8_t *drawn, int want)
{
    int n = run->fed.n_silos, groups = n / want;
    uint32_t *order = CV_NEW(n, uint32_t);
    cv_stream s;
    for (int i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    cv_stream_open(&s, run->job->training.seed, "groups", 0, 0);
    cv_stream_shuffle(&s, order, (size_t)n);
    cv_stream_close(&s);
    cv_stream_open(&s, run->job->training.seed, "participation", 0,
                   (uint64_t)run->round);
    int group = (int)cv_stream_below(&s, (uint64_t)groups);
    cv_stream_close(&s);
    for (int i = 0; i < n; i++)
        drawn[order[i]] = i % groups == group;
    free(order);
}

/* Silos of this round: a fixed number, from the public stream. */
void cv_round_draw(const cv_run *run, uint8_t *drawn)
{
    int n = run->fed.n_silos;
    int want = (int)ceil(run->job->training.participation * n - 1e-9);
    if (want < n && run->secure && !run->job->privacy.enabled) {
        draw_group(run, drawn, want);
        return;
    }
    uint32_t *order = CV_NEW(n, uint32_t);
    for (int i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    if (want < n) {
        cv_stream s;
        cv_stream_open(&s, run->job->training.seed, "participation", 0,
                       (uint64_t)run->round);
        cv_stream_shuffle(&s, order, (size_t)n);
        cv_stream_close(&s);
    }
    for (int i = 0; i < want; i++)
        drawn[order[i]] = 1;
    free(order);
}

static double silo_scale(const cv_run *run, int64_t steps)
{
    return run->strategy->scale ? run->strategy->scale(&run->train, steps)
                                : 1.0;
}

static void set_diverged(double report[CV_R_FIELDS])
{
    memset(report, 0, CV_R_FIELDS * sizeof *report);
    report[CV_R_STATUS] = CV_SILO_DIVERGED;
}

/* Local training: payload[0] becomes local - start, the silo's next state and
 * payload[1] follow from it; until then payload[1] has room for the correction.
 * The report says how it went. */
void cv_round_train(cv_run *run, cv_hosted *h, double report[CV_R_FIELDS])
{
    memset(report, 0, CV_R_FIELDS * sizeof *report);
    if (h->n_train < run->job->disclosure.min_rows || h->n_train < 1) {
        report[CV_R_STATUS] = CV_SILO_FEW_ROWS;
        return;
    }
    const cv_strategy *st = run->strategy;
    const float *const *server = (const float *const *)run->server_state;
    const float *const *mine = (const float *const *)h->state;
    float *w = run->payload[0];
    float *correction = st->correct ? run->payload[1] : NULL;
    if (correction) { /* the leader alone holds what it is made of */
        if (cv_fed_is_leader(&run->fed))
            st->correct(correction, server, mine, run->n);
        cv_bcast_bytes_all(run->fed.silo, correction,
                           run->n * sizeof *correction, 0);
    }
    memcpy(w, run->w, run->n * sizeof *w);
    cv_train_result r;
    cv_train_silo(run->trainer, &h->train, (uint64_t)h->index,
                  (uint64_t)run->round, w, run->w, correction, &r);
    for (size_t i = 0; i < run->n; i++)
        w[i] -= run->w[i];
    double scale = silo_scale(run, r.steps);
    double p = run->secure ? 1.0 : run->weight[h->index];
    report[CV_R_LOSS] = r.loss_sum;
    report[CV_R_ROWS] = (double)r.rows_seen;
    report[CV_R_SCALE] = scale;
    report[CV_R_TOP0] = (double)cv_max_abs(w, run->n) * p / scale;
    if (st->report && cv_fed_is_leader(&run->fed))
        st->report(&run->train, r.steps, w, server, mine, run->payload, h->next,
                   run->n);
    if (st->n_payload > 1)
        report[CV_R_TOP1] = (double)cv_max_abs(run->payload[1], run->n) * p;
    int finite = r.finite && scale > 0.0 && isfinite(report[CV_R_TOP0]) &&
                 isfinite(report[CV_R_TOP1]);
    report[CV_R_STATUS] = CV_SILO_READY;
    if (!finite)
        set_diverged(report);
}

/* A rank with one silo has room for one sum, that of each payload in turn. */
static void *sum_of(const cv_run *run, int k)
{
    return run->sum[run->fed.n_hosted > 1 ? k : 0];
}

/* Add payload k of a trained silo to this rank's sum. */
static void add_payload(cv_run *run, const cv_hosted *h,
                        const double report[CV_R_FIELDS], int k, int exponent)
{
    double factor = run->weight[h->index];
    if (k == 0)
        factor /= report[CV_R_SCALE];
    if (run->wide)
        cv_quantise_add_u64(sum_of(run, k), run->payload[k], run->n, factor,
                            exponent);
    else
        cv_quantise_add_u32(sum_of(run, k), run->payload[k], run->n, factor,
                            exponent);
}

static void clear_sum(cv_run *run, int k)
{
    size_t word = run->wide ? sizeof(uint64_t) : sizeof(uint32_t);
    memset(sum_of(run, k), 0, run->n * word);
}

/* Train every drawn silo of this rank. A rank with one silo keeps its payloads;
 * one with several quantises each at once, on the grid that `exponent` guesses
 * (the last round's). */
static void train_hosted(cv_run *run, round_state *rs,
                         int32_t exponent[CV_MAX_PAYLOAD])
{
    int many = run->fed.n_hosted > 1;
    for (int k = 0; many && k < run->strategy->n_payload; k++)
        clear_sum(run, k);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        cv_hosted *h = &run->hosted[s];
        double *report = rs->mine + (size_t)s * CV_R_FIELDS;
        if (!rs->drawn[h->index])
            continue;
        cv_round_train(run, h, report);
        if (!many || report[CV_R_STATUS] != CV_SILO_READY)
            continue;
        for (int k = 0; k < run->strategy->n_payload; k++) {
            if (exponent[k] == CV_NO_EXPONENT)
                exponent[k] =
                    cv_grid_exponent(CV_NO_EXPONENT, report[CV_R_TOP0 + k],
                                     run->fed.n_silos, run->wide);
            add_payload(run, h, report, k, exponent[k]);
        }
    }
}

static const char *reason(int status)
{
    return status == CV_SILO_DIVERGED ? "diverged" : "too few rows";
}

/* Silos that sit out are named when they begin to; the log of the run names all
 * of them, the screen the first few. */
void cv_round_tell_out(const cv_run *run, const int32_t *before)
{
    enum { SHOWN = 10 };
    int told = 0;
    for (int i = 0; i < run->fed.n_silos && run->fed.rank == 0; i++) {
        int status = run->status[i];
        if (status == CV_SILO_READY || status == CV_SILO_NOT_DRAWN ||
            status == before[i])
            continue;
        cv_log(told++ < SHOWN ? CV_LOG_WARN : CV_LOG_DEBUG, "silo_sits_out",
               "round=%lld silo=%s reason=\"%s\"", (long long)run->round + 1,
               run->job->silos[i].name, reason(status));
    }
    if (told > SHOWN)
        cv_log(CV_LOG_WARN, "silos_sit_out",
               "round=%lld and %d more, named in covey.log",
               (long long)run->round + 1, told - SHOWN);
}

int cv_round_too_few(const cv_run *run, int n_ready, cv_err *err)
{
    char who[300] = "";
    size_t at = 0;
    for (int i = 0; i < run->fed.n_silos; i++) {
        const char *name = run->job->silos[i].name;
        if (run->status[i] == CV_SILO_READY ||
            run->status[i] == CV_SILO_NOT_DRAWN)
            continue;
        if (at + strlen(name) + 24 > sizeof who) {
            snprintf(who + at, sizeof who - at, ", ...");
            break;
        }
        at += (size_t)snprintf(who + at, sizeof who - at, "%s%s: %s",
                               at ? ", " : " (", name, reason(run->status[i]));
    }
    return cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                      "round %lld: expected at least %d silos, %d were "
                      "ready%s%s; %s",
                      (long long)run->round + 1, run->job->training.min_silos,
                      n_ready, who, at ? ")" : "",
                      run->round ? "the model of the round before is saved"
                                 : "there is no model to save");
}

/* In a shared silo the ranks add up their parts of the loss; one part that is
 * not finite is enough. */
static void share_report(const cv_fed *fed, double report[CV_R_FIELDS])
{
    double sum[3] = {report[CV_R_LOSS], report[CV_R_ROWS],
                     report[CV_R_STATUS] == CV_SILO_DIVERGED};
    cv_sum_f64_all(fed->silo, sum, 3);
    report[CV_R_LOSS] = sum[0];
    report[CV_R_ROWS] = sum[1];
    if (sum[2] > 0.0)
        set_diverged(report);
}

/* The roster: who is ready, agreed before anything is summed. */
static int agree_roster(cv_run *run, round_state *rs, cv_err *err)
{
    const cv_fed *fed = &run->fed;
    size_t bytes = (size_t)fed->n_silos * sizeof *run->status;
    int32_t *before = CV_NEW(fed->n_silos, int32_t);
    memcpy(before, run->status, bytes);
    if (fed->n_parts > 1)
        share_report(fed, rs->mine);
    cv_gather_silos_all(fed, rs->report, rs->mine, CV_R_FIELDS);
    rs->n_ready = 0;
    rs->weight = rs->factor = 0.0;
    for (int i = 0; i < fed->n_silos; i++) {
        const double *r = rs->report + (size_t)i * CV_R_FIELDS;
        run->status[i] = (int32_t)r[CV_R_STATUS];
        if (run->status[i] != CV_SILO_READY)
            continue;
        rs->n_ready++;
        rs->weight += run->weight[i];
        rs->factor += run->weight[i] * r[CV_R_SCALE];
    }
    cv_round_tell_out(run, before);
    free(before);
    if (rs->n_ready < run->job->training.min_silos || rs->n_ready == 0)
        return cv_round_too_few(run, rs->n_ready, err);
    rs->factor /= rs->weight;
    return 0;
}

/* The grids of this round follow from the agreed maxima. A rank with several
 * silos that guessed otherwise does them again: training is exact, so nothing
 * changes but the grid. */
static void quantise_hosted(cv_run *run, round_state *rs,
                            const int32_t guess[CV_MAX_PAYLOAD])
{
    int same = 1;
    for (int k = 0; k < run->strategy->n_payload; k++) {
        double top = 0.0;
        for (int i = 0; i < run->fed.n_silos; i++) {
            double t =
                rs->report[(size_t)i * CV_R_FIELDS + CV_R_TOP0 + (size_t)k];
            top = t > top ? t : top;
        }
        run->exponent[k] = cv_grid_exponent(run->exponent[k], top,
                                            run->fed.n_silos, run->wide);
        same &= run->exponent[k] == guess[k];
    }
    if (run->fed.n_hosted == 1 || same)
        return;
    for (int k = 0; k < run->strategy->n_payload; k++)
        clear_sum(run, k);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        cv_hosted *h = &run->hosted[s];
        double *report = rs->mine + (size_t)s * CV_R_FIELDS;
        if (report[CV_R_STATUS] != CV_SILO_READY)
            continue;
        cv_round_train(run, h, report);
        for (int k = 0; k < run->strategy->n_payload; k++)
            add_payload(run, h, report, k, run->exponent[k]);
    }
}

/* The payloads of a rank's one silo are quantised as their turn comes. */
static void begin_sum(cv_run *run, const round_state *rs, int k)
{
    if (run->fed.n_hosted > 1)
        return; /* quantised while they were trained */
    clear_sum(run, k);
    if (rs->mine[CV_R_STATUS] == CV_SILO_READY)
        add_payload(run, &run->hosted[0], rs->mine, k, run->exponent[k]);
}

/* Sum over the leaders, and the weighted means of what was sent. */
static void sum_payloads(cv_run *run, const round_state *rs)
{
    for (int k = 0; k < run->strategy->n_payload; k++) {
        double divisor = k == 0 ? rs->weight : 1.0;
        void *sum = sum_of(run, k);
        begin_sum(run, rs, k);
        if (run->wide) {
            cv_sum_u64_all(run->fed.leaders, sum, run->n);
            cv_decode_u64(run->payload[k], sum, run->n, run->exponent[k],
                          divisor);
        } else {
            cv_sum_u32_all(run->fed.leaders, sum, run->n);
            cv_decode_u32(run->payload[k], sum, run->n, run->exponent[k],
                          divisor);
        }
    }
}

void cv_round_keep_state(cv_run *run, cv_hosted *h)
{
    for (int k = 0; k < run->strategy->n_silo; k++) {
        float *t = h->state[k];
        h->state[k] = h->next[k];
        h->next[k] = t;
    }
}

/* A silo's own state moves on only when its update was summed. */
static void commit_silo_state(cv_run *run, const round_state *rs)
{
    for (int s = 0; s < run->fed.n_hosted; s++)
        if (rs->mine[(size_t)s * CV_R_FIELDS + CV_R_STATUS] == CV_SILO_READY)
            cv_round_keep_state(run, &run->hosted[s]);
}

/* The strategy's step, and the largest change of a parameter. */
static double step_in_slices(cv_run *run, double factor)
{
    enum { SLICE = 4096 };
    const cv_strategy *st = run->strategy;
    float old[SLICE];
    double largest = 0.0;
    for (size_t at = 0; at < run->n; at += SLICE) {
        size_t n = run->n - at < SLICE ? run->n - at : SLICE;
        float *state[CV_MAX_STATE] = {0}, *w = run->w + at;
        const float *mean[CV_MAX_PAYLOAD] = {0};
        for (int k = 0; k < st->n_server; k++)
            state[k] = run->server_state[k] + at;
        for (int k = 0; k < st->n_payload; k++)
            mean[k] = run->payload[k] + at;
        memcpy(old, w, n * sizeof *w);
        st->step(&run->server, w, state, mean, factor, n);
        for (size_t i = 0; i < n; i++)
            old[i] = w[i] - old[i];
        double change = (double)cv_max_abs(old, n);
        largest = change > largest ? change : largest;
    }
    return largest;
}

/* Are the leaders' models the same? Under masks the root that the round's record
 * needs says so as well, and spares a pass over the model. */
static uint64_t model_sum(cv_run *run)
{
    cv_secure *sec = run->secure;
    if (!sec || !sec->masks)
        return cv_checksum64(run->w, run->n * sizeof *run->w);
    cv_run_model_root(run, sec->model);
    sec->model_round = run->round + 1;
    return cv_get_le64(sec->model);
}

/* The server step, then every leader must hold the same bytes. */
int cv_round_step_all(cv_run *run, double factor, double *update, cv_err *err)
{
    int rc = 0;
    double all[4] = {0};
    if (cv_fed_is_leader(&run->fed)) {
        *update = step_in_slices(run, factor);
        uint64_t sum = model_sum(run);
        double lo = (double)(sum & 0xffffffffu), hi = (double)(sum >> 32);
        all[0] = lo;
        all[1] = -lo;
        all[2] = hi;
        all[3] = -hi;
        cv_max_f64_all(run->fed.leaders, all, 4);
        if (all[0] != lo || all[1] != -lo || all[2] != hi || all[3] != -hi)
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "round %lld: the ranks computed different models; "
                            "a node or library of one of them is at fault",
                            (long long)run->round + 1);
        else if (!isfinite(cv_max_abs(run->w, run->n)))
            rc = cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                            "round %lld: the model is not finite after the "
                            "server step; lower training.server.learning_rate "
                            "or training.local.learning_rate",
                            (long long)run->round + 1);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        return rc;
    cv_bcast_bytes_all(run->fed.silo, run->w, run->n * sizeof *run->w, 0);
    cv_bcast_bytes_all(run->fed.silo, update, sizeof *update, 0);
    return 0;
}

cv_history_row *cv_round_record(cv_run *run, int64_t n_silos, double loss,
                                double update,
                                const double seconds[CV_N_PHASES])
{
    if (run->n_history == run->cap_history) {
        run->cap_history = run->cap_history ? 2 * run->cap_history : 64;
        run->history = cv_realloc(run->history, (size_t)run->cap_history,
                                  sizeof *run->history);
    }
    cv_history_row *h = &run->history[run->n_history++];
    memset(h, 0, sizeof *h);
    for (int i = 0; i < run->fed.n_silos; i++)
        run->taken[i] += run->status[i] == CV_SILO_READY;
    h->round = ++run->round;
    h->n_silos = n_silos;
    h->train_loss = loss;
    h->update = update;
    h->epsilon = NAN;
    memcpy(h->seconds, seconds, sizeof h->seconds);
    h->seconds[CV_PHASE_SAVE] = run->seconds_saving;
    return h;
}

static double mean_loss(const cv_run *run, const round_state *rs)
{
    double loss = 0.0, rows = 0.0;
    for (int i = 0; i < run->fed.n_silos; i++) {
        const double *r = rs->report + (size_t)i * CV_R_FIELDS;
        if ((int)r[CV_R_STATUS] != CV_SILO_READY)
            continue;
        loss += r[CV_R_LOSS];
        rows += r[CV_R_ROWS];
    }
    return rows > 0.0 ? loss / rows : NAN;
}

static int round_plain_all(cv_run *run, cv_err *err)
{
    round_state rs = {
        .drawn = CV_NEW(run->fed.n_silos, uint8_t),
        .report = CV_NEW((size_t)run->fed.n_silos * CV_R_FIELDS, double),
        .mine = CV_NEW((size_t)run->fed.n_hosted * CV_R_FIELDS, double)};
    int32_t guess[CV_MAX_PAYLOAD];
    double seconds[CV_N_PHASES] = {0}, update = 0.0, t0 = cv_now(), t1, t2;
    memcpy(guess, run->exponent, sizeof guess);

    cv_round_draw(run, rs.drawn);
    train_hosted(run, &rs, guess);
    int rc = agree_roster(run, &rs, err);
    if (rc)
        goto out;
    t1 = cv_now();
    quantise_hosted(run, &rs, guess);
    if (cv_fed_is_leader(&run->fed))
        sum_payloads(run, &rs);
    commit_silo_state(run, &rs);
    rc = cv_round_step_all(run, rs.factor, &update, err);
    if (rc)
        goto out;
    t2 = cv_now();
    seconds[CV_PHASE_TRAIN] = t1 - t0;
    seconds[CV_PHASE_SUM] = t2 - t1;
    cv_history_row *h =
        cv_round_record(run, rs.n_ready, mean_loss(run, &rs), update, seconds);
    cv_evaluate_all(run, h->metrics);
    h->seconds[CV_PHASE_EVALUATE] = cv_now() - t2;
out:
    free(rs.drawn);
    free(rs.report);
    free(rs.mine);
    return rc;
}

int cv_round_all(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    if (run->fit)
        return cv_round_fit_all(run, err);
    if (!run->secure)
        return round_plain_all(run, err);
    if (job->privacy.enabled && job->privacy.unit == CV_UNIT_RECORD &&
        job->privacy.noise == CV_NOISE_DISTRIBUTED)
        return cv_round_steps_all(run, err);
    return cv_round_masked_all(run, err);
}
