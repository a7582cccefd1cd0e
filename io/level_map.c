#include "io/level_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/names.h"

static void match_names(cv_level_map *map, const cv_column *c,
                        const cv_feature *agreed)
{
    cv_name_set set = {0};
    cv_name_set_add_all(&set, agreed->levels, (size_t)agreed->n_levels);
    map->n = c->n_levels;
    map->of_number = CV_NEW(c->n_levels, int32_t);
    for (int i = 0; i < c->n_levels; i++)
        map->of_number[i] =
            (int32_t)cv_name_set_find(&set, c->levels[i], strlen(c->levels[i]));
    cv_name_set_free(&set);
}

static int compare(const void *a, const void *b)
{
    const cv_level_value *p = a, *q = b;
    if (p->value != q->value)
        return p->value < q->value ? -1 : 1;
    return p->level - q->level;
}

void cv_level_map_make(cv_level_map *map, const cv_column *column,
                       const cv_feature *agreed, int wide)
{
    *map = (cv_level_map){.wide = wide};
    if (column->n_levels) {
        match_names(map, column, agreed);
        return;
    }
    map->of_value = CV_NEW(agreed->n_levels, cv_level_value);
    for (int i = 0; i < agreed->n_levels; i++) {
        double v;
        const char *s = agreed->levels[i];
        if (cv_number(&v, s, strlen(s)) == 0)
            map->of_value[map->n++] =
                (cv_level_value){wide ? v : (double)(float)v, i};
    }
    qsort(map->of_value, (size_t)map->n, sizeof *map->of_value, compare);
    map->identity = 1;
    for (int i = 0; i < map->n; i++)
        map->identity &=
            map->of_value[i].level == i && map->of_value[i].value == i;
}

static int was_rounded(const cv_level_map *map, int at, double v)
{
    return at >= 0 && at < map->n && (float)map->of_value[at].value == (float)v;
}

int32_t cv_level_map_find(const cv_level_map *map, double v)
{
    int in_range = v >= 0.0 && v < map->n && v == floor(v);
    if (map->of_number)
        return in_range ? map->of_number[(int)v] : -1;
    if (map->identity)
        return in_range ? (int32_t)v : -1;
    int lo = 0, hi = map->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (map->of_value[mid].value < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < map->n && map->of_value[lo].value == v)
        return map->of_value[lo].level;
    if (!map->wide || v == floor(v) || v != (double)(float)v)
        return -1;
    for (int at = lo - 1; at <= lo; at++)
        if (was_rounded(map, at, v))
            return map->of_value[at].level;
    return -1;
}

void cv_level_map_free(cv_level_map *map)
{
    CV_FREE(map->of_number);
    CV_FREE(map->of_value);
}
