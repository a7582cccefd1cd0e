/** From what a table holds to the level of the agreed schema. */
#ifndef COVEY_IO_LEVEL_MAP_H
#define COVEY_IO_LEVEL_MAP_H

#include <stdint.h>

#include "io/job.h"
#include "io/table.h"

typedef struct {
    double value;
    int32_t level;
} cv_level_value;

typedef struct {
    int32_t *of_number; /* (n) for a column with levels: agreed level or -1 */
    cv_level_value *of_value; /* (n) for a column of numbers, by value */
    int n;
    int identity; /* value i is level i: "0", "1", ... */
    int wide;     /* values are doubles */
} cv_level_map;

/** Match the levels of a column by name, or its numbers by value: as floats, or
 *  (wide) as doubles, among which a fraction that is exactly a float also
 *  matches the decimal number that it was rounded from. */
void cv_level_map_make(cv_level_map *map, const cv_column *column,
                       const cv_feature *agreed, int wide);

/** Agreed level of a value that is not NaN, or -1. */
int32_t cv_level_map_find(const cv_level_map *map, double v);

void cv_level_map_free(cv_level_map *map);

#endif
