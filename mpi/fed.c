#include "mpi/fed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static int place_by_claim(cv_fed_place *place, int size, int n_silos,
                          const int *claims, const char *const *names,
                          cv_err *err)
{
    int *count = CV_NEW(n_silos, int), rc = 0;
    for (int r = 0; r < size; r++) {
        if (claims[r] < 0) {
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "rank %d was started without --silo while others "
                            "claim one; give --silo to every rank",
                            r);
            goto out;
        }
        place[r].first = claims[r];
        place[r].n_hosted = 1;
        place[r].part = count[claims[r]]++;
    }
    for (int s = 0; s < n_silos; s++)
        if (!count[s]) {
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "silo %s has no rank; start one with its silo.yaml",
                            names ? names[s] : "?");
            goto out;
        }
    for (int r = 0; r < size; r++)
        place[r].n_parts = count[claims[r]];
out:
    free(count);
    return rc;
}

static void place_groups(cv_fed_place *place, int size, int n_silos,
                         const int *wish)
{
    int *count = CV_NEW(n_silos, int), spare = size - n_silos;
    for (int s = 0; s < n_silos; s++)
        count[s] = 1;
    for (int given = 1; spare && given;) { /* one each, until wishes are met */
        given = 0;
        for (int s = 0; s < n_silos && spare; s++)
            if (wish && count[s] < wish[s]) {
                count[s]++;
                spare--;
                given = 1;
            }
    }
    for (int s = 0; spare; s = (s + 1) % n_silos, spare--)
        count[s]++;
    for (int s = 0, r = 0; s < n_silos; s++)
        for (int k = 0; k < count[s]; k++, r++)
            place[r] = (cv_fed_place){s, 1, k, count[s]};
    free(count);
}

int cv_fed_assign(cv_fed_place *place, int size, int n_silos, const int *wish,
                  const int *claims, const char *const *names, cv_err *err)
{
    int claimed = 0;
    for (int r = 0; claims && r < size; r++)
        claimed |= claims[r] >= 0;
    if (claimed)
        return place_by_claim(place, size, n_silos, claims, names, err);
    if (size >= n_silos) {
        place_groups(place, size, n_silos, wish);
        return 0;
    }
    for (int r = 0; r < size; r++) {
        int first = (int)((int64_t)r * n_silos / size);
        int end = (int)((int64_t)(r + 1) * n_silos / size);
        place[r] = (cv_fed_place){first, end - first, 0, 1};
    }
    return 0;
}

static void note_leaders(cv_fed *fed, const cv_fed_place *place)
{
    fed->lead_first = CV_NEW(fed->size, int);
    fed->lead_hosted = CV_NEW(fed->size, int);
    for (int r = 0; r < fed->size; r++) {
        if (place[r].part != 0)
            continue;
        fed->lead_first[fed->n_leaders] = place[r].first;
        fed->lead_hosted[fed->n_leaders++] = place[r].n_hosted;
    }
}

int cv_fed_create_all(cv_fed *fed, MPI_Comm world, int n_silos, const int *wish,
                      int claim, const char *const *names, cv_err *err)
{
    *fed = (cv_fed){.world = world,
                    .silo = MPI_COMM_NULL,
                    .leaders = MPI_COMM_NULL,
                    .n_silos = n_silos};
    MPI_Comm_rank(world, &fed->rank);
    MPI_Comm_size(world, &fed->size);
    int *claims = CV_NEW(fed->size, int);
    cv_fed_place *place = CV_NEW(fed->size, cv_fed_place);
    MPI_Allgather(&claim, 1, MPI_INT, claims, 1, MPI_INT, world);
    /* Pure and from gathered input: fails on all ranks or on none. */
    int rc = cv_fed_assign(place, fed->size, n_silos, wish, claims, names, err);
    if (rc == 0) {
        cv_fed_place p = place[fed->rank];
        fed->first = p.first;
        fed->n_hosted = p.n_hosted;
        fed->part = p.part;
        fed->n_parts = p.n_parts;
        note_leaders(fed, place);
        MPI_Comm_split(world, p.first, p.part, &fed->silo);
        MPI_Comm_split(world, p.part == 0 ? 0 : MPI_UNDEFINED, fed->rank,
                       &fed->leaders);
    }
    free(claims);
    free(place);
    return rc;
}

void cv_fed_destroy_all(cv_fed *fed)
{
    CV_FREE(fed->lead_first);
    CV_FREE(fed->lead_hosted);
    if (fed->silo != MPI_COMM_NULL)
        MPI_Comm_free(&fed->silo);
    if (fed->leaders != MPI_COMM_NULL)
        MPI_Comm_free(&fed->leaders);
}
