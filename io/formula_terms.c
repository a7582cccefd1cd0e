#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/formula_parts.h"
#include "io/siphash.h"

enum { SMALL = 16 }; /* up to here, looking through is sooner than hashing */

static int same(const cv_formula_term *a, const cv_formula_term *b)
{
    return abs(a->order) == b->order &&
           memcmp(a->var, b->var, (size_t)b->order * sizeof *b->var) == 0;
}

/* The slot of a term, or the free one where it would be. */
static uint32_t *slot_of(const cv_term_set *set, const cv_formula_term *t)
{
    size_t mask = set->n_slots - 1;
    size_t i = cv_siphash(set->key, t->var, (size_t)t->order * sizeof *t->var);
    for (i &= mask; set->slots[i]; i = (i + 1) & mask)
        if (same(&set->t[set->slots[i] - 1], t))
            break;
    return &set->slots[i];
}

/* The term if it is in the set and was not removed. */
static cv_formula_term *find(const cv_term_set *set, const cv_formula_term *t)
{
    if (set->slots) {
        uint32_t at = *slot_of(set, t);
        return at && set->t[at - 1].order > 0 ? &set->t[at - 1] : NULL;
    }
    for (size_t i = 0; i < set->n; i++)
        if (set->t[i].order > 0 && same(&set->t[i], t))
            return &set->t[i];
    return NULL;
}

/* Removed terms make room before the array grows: "a - a + a - a" must not. */
static void make_room(cv_term_set *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        if (set->t[i].order > 0)
            set->t[n++] = set->t[i];
    set->n = n;
    if (n >= set->cap / 2) {
        set->cap = set->cap ? 2 * set->cap : 2;
        set->t = cv_realloc(set->t, set->cap, sizeof *set->t);
    }
    if (set->cap <= SMALL)
        return;
    set->n_slots = 2 * set->cap;
    free(set->slots);
    set->slots = CV_NEW(set->n_slots, uint32_t);
    for (size_t i = 0; i < n; i++)
        *slot_of(set, &set->t[i]) = (uint32_t)i + 1;
}

void cv_term_set_add(cv_term_set *set, const cv_formula_term *t)
{
    if (find(set, t))
        return;
    if (set->n == set->cap)
        make_room(set);
    if (set->slots)
        *slot_of(set, t) = (uint32_t)set->n + 1;
    set->t[set->n++] = *t;
    set->live++;
}

void cv_term_set_remove(cv_term_set *set, const cv_formula_term *t)
{
    cv_formula_term *at = find(set, t);
    if (!at)
        return;
    at->order = -at->order;
    set->live--;
}

void cv_term_set_free(cv_term_set *set)
{
    free(set->t);
    free(set->slots);
    *set = (cv_term_set){.key = set->key};
}

const char *cv_term_spend(cv_term_budget *budget, size_t terms)
{
    if (terms > budget->left)
        return "too much to multiply out";
    budget->left -= terms;
    return NULL;
}

static const char *too_many(const cv_term_set *set)
{
    return set->live > CV_FORMULA_MAX_TERMS
               ? "more than 65536 terms when it is multiplied out"
               : NULL;
}

const char *cv_term_set_join(cv_term_set *set, const cv_term_set *more,
                             cv_term_budget *budget)
{
    /* One term costs no more than its text. */
    const char *fault = more->n > 1 ? cv_term_spend(budget, more->n) : NULL;
    for (size_t i = 0; i < more->n && !fault; i++)
        if (more->t[i].order > 0) {
            cv_term_set_add(set, &more->t[i]);
            fault = too_many(set);
        }
    return fault;
}

const char *cv_term_set_drop(cv_term_set *set, const cv_term_set *less,
                             cv_term_budget *budget)
{
    const char *fault = less->n > 1 ? cv_term_spend(budget, less->n) : NULL;
    for (size_t i = 0; i < less->n && !fault; i++)
        if (less->t[i].order > 0)
            cv_term_set_remove(set, &less->t[i]);
    return fault;
}

/* The variables of both. Returns -1 if there are too many. */
static int unite(cv_formula_term *out, const cv_formula_term *a,
                 const cv_formula_term *b)
{
    int n = 0, i = 0, j = 0;
    while (i < a->order || j < b->order) {
        if (n == CV_FORMULA_MAX_ORDER)
            return -1;
        int take_a = j == b->order || (i < a->order && a->var[i] <= b->var[j]);
        int v = take_a ? a->var[i] : b->var[j];
        i += i < a->order && a->var[i] == v;
        j += j < b->order && b->var[j] == v;
        out->var[n++] = v;
    }
    out->order = n;
    return 0;
}

static const char *interact_one(cv_term_set *out, const cv_formula_term *a,
                                const cv_term_set *b)
{
    for (size_t j = 0; j < b->n; j++) {
        cv_formula_term t = {0};
        if (b->t[j].order < 0)
            continue;
        if (unite(&t, a, &b->t[j]) != 0)
            return "an interaction of more than 6 variables";
        cv_term_set_add(out, &t);
    }
    return too_many(out);
}

const char *cv_term_set_interact(cv_term_set *out, const cv_term_set *a,
                                 const cv_term_set *b, cv_term_budget *budget)
{
    const char *fault = NULL;
    for (size_t i = 0; i < a->n && !fault; i++) {
        fault = cv_term_spend(budget, b->n + 1);
        if (!fault && a->t[i].order > 0)
            fault = interact_one(out, &a->t[i], b);
    }
    return fault;
}

const char *cv_term_set_power(cv_term_set *set, int power,
                              cv_term_budget *budget)
{
    const char *fault = NULL;
    cv_term_set so_far = {.key = set->key};
    for (int k = 1; k < power && !fault; k++) {
        cv_term_set next = {.key = set->key};
        fault =
            cv_term_set_interact(&next, k == 1 ? set : &so_far, set, budget);
        cv_term_set_free(&so_far);
        so_far = next;
    }
    cv_term_set_free(set);
    *set = so_far;
    return fault;
}

cv_formula_term *cv_term_set_sorted(const cv_term_set *set)
{
    cv_formula_term *sorted = CV_NEW(set->live, cv_formula_term);
    size_t at[CV_FORMULA_MAX_ORDER + 2] = {0};
    for (size_t i = 0; i < set->n; i++)
        if (set->t[i].order > 0)
            at[set->t[i].order + 1]++;
    for (int k = 1; k <= CV_FORMULA_MAX_ORDER; k++)
        at[k + 1] += at[k];
    for (size_t i = 0; i < set->n; i++)
        if (set->t[i].order > 0)
            sorted[at[set->t[i].order]++] = set->t[i];
    return sorted;
}
