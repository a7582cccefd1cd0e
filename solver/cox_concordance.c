#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "solver/cox_parts.h"

/* Rows at risk by rank of their eta: a tree of partial sums (Fenwick 1994). */
typedef struct {
    int64_t n;
    int64_t *sum;   /* (n + 1) node i: the i & -i ranks up to i */
    int64_t *count; /* (n) of each rank alone */
} risk_tree;

static void tree_add(risk_tree *t, int64_t rank)
{
    t->count[rank]++;
    for (int64_t i = rank + 1; i <= t->n; i += i & -i)
        t->sum[i]++;
}

/* Rows of ranks below `rank`. */
static int64_t tree_below(const risk_tree *t, int64_t rank)
{
    int64_t sum = 0;
    for (int64_t i = rank; i > 0; i -= i & -i)
        sum += t->sum[i];
    return sum;
}

typedef struct {
    double eta;
    int64_t row;
} eta_key;

static int by_eta(const void *a, const void *b)
{
    const eta_key *r = a, *s = b;
    return (r->eta > s->eta) - (r->eta < s->eta);
}

/* rank (n): 0 for the smallest eta, the same for equal ones. Returns how many
 * there are; 0 if an eta is not finite. */
static int64_t rank_etas(const double *eta, int64_t n, int64_t *rank)
{
    eta_key *key = CV_NEW(n, eta_key);
    int64_t ranks = 0;
    int finite = 1;
    for (int64_t i = 0; i < n; i++) {
        key[i] = (eta_key){eta[i], i};
        finite &= isfinite(eta[i]) != 0;
    }
    if (finite) {
        qsort(key, (size_t)n, sizeof *key, by_eta);
        for (int64_t i = 0; i < n; i++) {
            ranks += i == 0 || key[i].eta != key[i - 1].eta;
            rank[key[i].row] = ranks - 1;
        }
    }
    free(key);
    return ranks;
}

enum { CONCORDANT, DISCORDANT, TIED_X, TIED_Y, TIED_XY };

/* Events against everyone who outlived them, and against each other. `at_risk`
 * holds all rows of later times; among (ranks) is 0 before and after. */
static void count_time(const cv_cox *c, int64_t g, const int64_t *rank,
                       risk_tree *tree, int64_t *at_risk, int64_t *among,
                       double count[CV_CONCORDANCE])
{
    int64_t first = c->start[g], censored = first + c->deaths[g];
    int64_t end = c->start[g + 1];
    for (int64_t i = censored; i < end; i++)
        tree_add(tree, rank[i]);
    *at_risk += end - censored;
    for (int64_t i = first; i < censored; i++) {
        int64_t below = tree_below(tree, rank[i]);
        int64_t same = tree->count[rank[i]], twins = among[rank[i]]++;
        count[CONCORDANT] += (double)below;
        count[DISCORDANT] += (double)(*at_risk - below - same);
        count[TIED_X] += (double)same;
        count[TIED_XY] += (double)twins;
        count[TIED_Y] += (double)(i - first - twins);
    }
    for (int64_t i = first; i < censored; i++) {
        among[rank[i]] = 0;
        tree_add(tree, rank[i]);
    }
    *at_risk += censored - first;
}

void cv_cox_concordance(const cv_cox *c, const double *b,
                        double count[CV_CONCORDANCE])
{
    memset(count, 0, CV_CONCORDANCE * sizeof *count);
    double *eta = CV_NEW(c->n, double);
    int64_t *rank = CV_NEW(c->n, int64_t), at_risk = 0;
    cv_cox_eta(c, b, 0, eta);
    risk_tree tree = {.n = rank_etas(eta, c->n, rank)};
    if (tree.n > 0) {
        tree.sum = CV_NEW(tree.n + 1, int64_t);
        tree.count = CV_NEW(tree.n, int64_t);
        int64_t *among = CV_NEW(tree.n, int64_t);
        for (int64_t g = 0; g < c->n_groups; g++)
            count_time(c, g, rank, &tree, &at_risk, among, count);
        free(tree.sum);
        free(tree.count);
        free(among);
    }
    free(eta);
    free(rank);
}
