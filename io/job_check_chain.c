/* What the chain section asks of the rest of the job. */
#include <string.h>

#include "io/job_check.h"

typedef cv_job_checker checker;

/* In the contract: a run's silos, and rounds in a batch. */
enum { MAX_ATTESTERS = 255, MAX_BATCH = 1024 };

static int is_on_chain(const cv_job *job)
{
    return job->chain.enabled && strcmp(job->chain.network, "none") != 0;
}

static int classifies(const cv_job *job)
{
    const char *kind = job->model.kind;
    return strcmp(kind, "logistic") == 0 || strcmp(kind, "softmax") == 0 ||
           (strcmp(kind, "mlp") == 0 &&
            (job->data.target_type == CV_TARGET_CATEGORY ||
             job->data.n_target_levels));
}

static const char *method_of(const cv_job *job)
{
    size_t n;
    return cv_job_words("chain.rewards.method", &n)[job->chain.rewards.method];
}

static int check_network(const checker *c)
{
    const cv_job *job = c->job;
    if (!job->secure_aggregation.enabled)
        return cv_job_wrong(c, "chain.network",
                            "needs secure_aggregation, for what goes to the "
                            "chain are records that every silo has signed; "
                            "found %s; add `secure_aggregation: {}`",
                            job->secure_aggregation.given
                                ? "secure_aggregation.enabled 'false'"
                                : "none");
    if (job->simulate.enabled && strcmp(job->chain.network, "local") != 0)
        return cv_job_wrong(c, "chain.network",
                            "simulated silos are one party and settle on a "
                            "local network only; found %s; use local, or none",
                            job->chain.network);
    if (job->n_silos > MAX_ATTESTERS)
        return cv_job_wrong(c, "chain.network",
                            "the contract takes at most %d silos; found %d",
                            MAX_ATTESTERS, job->n_silos);
    if (job->checkpoint.every > MAX_BATCH)
        return cv_job_wrong(c, "checkpoint.every",
                            "expected at most %d with a chain, for silos sign "
                            "at checkpoints and the contract takes so many "
                            "rounds at once; found %d",
                            MAX_BATCH, job->checkpoint.every);
    return 0;
}

/* What each method reads, and whether it may. */
static int check_method(const checker *c)
{
    const cv_job *job = c->job;
    cv_reward_method m = job->chain.rewards.method;
    static const char path[] = "chain.rewards.method";
    if (job->privacy.enabled && m != CV_REWARD_EQUAL && m != CV_REWARD_DECLARED)
        return cv_job_wrong(c, path,
                            "expected equal or declared, for with privacy "
                            "nothing that depends on data is told; found %s",
                            method_of(job));
    if ((m == CV_REWARD_VALIDATION || m == CV_REWARD_SHAPLEY) &&
        !classifies(job))
        return cv_job_wrong(c, path,
                            "%s counts rows that the model gets right, so the "
                            "target must be classes; found model.kind '%s'",
                            method_of(job), job->model.kind);
    if (m == CV_REWARD_VALIDATION && job->data.test_fraction <= 0)
        return cv_job_wrong(c, path,
                            "validation counts the silos' own test rows; found "
                            "data.test_fraction 0; set it, for example to 0.2");
    return 0;
}

static int check_groups(const checker *c)
{
    const cv_job *job = c->job;
    int least = job->secure_aggregation.collusion + 2;
    int groups = job->chain.rewards.groups;
    if (job->chain.rewards.method != CV_REWARD_SHAPLEY)
        return 0;
    if (job->n_silos < groups * least)
        return cv_job_wrong(c, "chain.rewards.groups",
                            "%d groups of at least %d silos each "
                            "(secure_aggregation.collusion + 2, or a group's "
                            "sum would show a single silo) need %d silos; "
                            "found %d",
                            groups, least, groups * least, job->n_silos);
    if (!job->data.test && !job->simulate.test)
        return cv_job_wrong(c, "chain.rewards.method",
                            "shapley compares models on public test rows that "
                            "every silo can count for itself; found neither "
                            "data.test nor simulate.test");
    if (job->training.participation < 1 || job->training.tolerance > 0 ||
        strcmp(job->training.strategy, "fedavg") != 0)
        return cv_job_wrong(c, "chain.rewards.method",
                            "shapley needs training.strategy fedavg, "
                            "training.participation 1 and training.tolerance "
                            "0, for in the last round it adds up the groups' "
                            "mean updates");
    return 0;
}

static int check_shares(const checker *c)
{
    const cv_job *job = c->job;
    double cap = job->chain.rewards.cap, sum = 0, largest = 0;
    int who = 0;
    if (cap * job->n_silos < 1)
        return cv_job_wrong(c, "chain.rewards.cap",
                            "expected at least 1/%d, or the pool could not be "
                            "paid out to %d silos; found %g",
                            job->n_silos, job->n_silos, cap);
    if (job->chain.rewards.method != CV_REWARD_DECLARED)
        return 0;
    for (int i = 0; i < job->n_silos; i++) {
        sum += job->silos[i].share;
        if (job->silos[i].share > largest) {
            largest = job->silos[i].share;
            who = i;
        }
    }
    if (largest > cap * sum * (1 + 1e-12))
        return cv_job_wrong(c, "chain.rewards.cap",
                            "silo %s declares %g of all shares, the cap is %g; "
                            "lower its share or raise the cap",
                            job->silos[who].name, largest / sum, cap);
    return 0;
}

int cv_job_check_chain(const checker *c)
{
    const cv_job *job = c->job;
    int rc = is_on_chain(job) ? check_network(c) : 0;
    if (rc || !job->chain.rewards.enabled)
        return rc;
    if (!is_on_chain(job))
        return cv_job_wrong(c, "chain.rewards",
                            "are paid on a chain; found chain.network none; "
                            "remove the section or choose a network");
    rc = check_method(c);
    if (!rc)
        rc = check_groups(c);
    return rc ? rc : check_shares(c);
}
