#include "mpi/messages.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void cv_gather_messages_all(const cv_fed *fed, void *all, const void *mine,
                            size_t k)
{
    int n = fed->n_leaders;
    CV_CHECK((size_t)fed->n_silos * k <= INT_MAX);
    if (n == 1) {
        memcpy(all, mine, (size_t)fed->n_silos * k);
        return;
    }
    int *count = CV_NEW(n, int), *at = CV_NEW(n, int);
    for (int r = 0; r < n; r++) {
        count[r] = fed->lead_hosted[r] * (int)k;
        at[r] = fed->lead_first[r] * (int)k;
    }
    MPI_Allgatherv(mine, fed->n_hosted * (int)k, MPI_BYTE, all, count, at,
                   MPI_BYTE, fed->leaders);
    free(count);
    free(at);
}
