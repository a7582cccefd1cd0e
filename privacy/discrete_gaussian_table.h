/** The tables of privacy/discrete_gaussian.c; private to that module. */
#ifndef COVEY_PRIVACY_DISCRETE_GAUSSIAN_TABLE_H
#define COVEY_PRIVACY_DISCRETE_GAUSSIAN_TABLE_H

#include "privacy/discrete_gaussian.h"
#include "privacy/wide.h"

enum {
    CELL_BITS = 15, /* of the magnitude's 127 bits, in the first look */
    CELLS = 1 << CELL_BITS,
    UNRESOLVED = 0x8000 /* not a magnitude: top is below it */
};

struct cv_dgauss {
    /* Magnitude of every U in a cell, or UNRESOLVED. */
    uint16_t direct[CELLS];
    /* Thresholds that are not above the cell's first U; one cell more. */
    uint16_t first[CELLS + 1];
    /* threshold[m] = 2^127 P(|draw| <= m), m < top; magnitude of U in
     * [0, 2^127) = number of thresholds that are not above U. */
    cv_u128 *threshold;
    uint32_t top;
    int levels;
    uint32_t mult[CV_DGAUSS_LEVELS];
    double smooth[CV_DGAUSS_LEVELS], smooth_distance[CV_DGAUSS_LEVELS];
    cv_variance table;
    double tail, table_distance, distance;
};

/** Number of thresholds that are not above u = cell 2^112 + rest. */
static inline uint32_t cv_dgauss_search(const cv_dgauss *d, uint32_t cell,
                                        cv_u128 u)
{
    uint32_t a = d->first[cell], b = d->first[cell + 1];
    while (b - a > 1) {
        uint32_t mid = a + (b - a) / 2;
        if (d->threshold[mid] <= u)
            a = mid + 1;
        else
            b = mid;
    }
    return b > a ? a + (uint32_t)(d->threshold[a] <= u) : a;
}

/** Draws that the leading bits settle: inout[i] += mult * draw(word[i]), modulo
 *  2^32. For all others nothing is added, and i goes to open, ascending.
 *  In:  n  any for cv_dgauss_look_plain, a multiple of 16 for the fast ones
 *  Returns: how many went to open (room for n) */
typedef size_t cv_dgauss_look(uint32_t *inout, uint16_t *open,
                              const uint16_t *word, size_t n,
                              const uint16_t *direct, uint32_t mult);
size_t cv_dgauss_look_plain(uint32_t *inout, uint16_t *open,
                            const uint16_t *word, size_t n,
                            const uint16_t *direct, uint32_t mult);
/** Faster ones, best first (which = 0, 1); NULL where the CPU cannot. */
enum { CV_DGAUSS_FAST = 2 };
cv_dgauss_look *cv_dgauss_look_fast(int which);

#endif
