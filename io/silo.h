/** silo.yaml: what a site keeps to itself. It never leaves the site. */
#ifndef COVEY_IO_SILO_H
#define COVEY_IO_SILO_H

#include "core/err.h"

typedef struct {
    char *file;
    char *silo;  /* its name in the job */
    char *data;  /* path, made absolute against silo.yaml's folder */
    char *state; /* folder for local state, absolute; NULL if not given */
    int threads; /* >= 1 */
    char *key;   /* keystore file, absolute; NULL if not given */
    char *password_file; /* absolute; its one line opens key; NULL: not given */
    int n_trusted;
    char **trusted; /* public keys "0x02..", lower case, unique: the partners
                     * that the site knows to be who they say */
    struct {
        int given;      /* the section is there */
        double epsilon; /* largest that this site's records may lose; 0: none */
        double delta;   /* 0: none */
        int min_silos;  /* fewest silos in a sum; 0: none */
    } limits;           /* what the site allows a job */
    struct {          /* what a fit may show of its rows; wins over the job's */
        int given;    /* the section is there */
        int min_rows; /* 0: the job's */
        int min_cell; /* 0: the job's */
        double rows_per_parameter; /* -1: the job's */
    } disclosure;
} cv_silo;

/** Scope: local. CV_ERR_INPUT with file and line when it is wrong. */
int cv_silo_load(const char *path, cv_silo **silo, cv_err *err);
void cv_silo_destroy(cv_silo **silo);

/** Read only the `silo:` name of each *.yaml in dir: a rank may see all names
 *  of a --silo-dir, but opens only its own silos' files. Finds the file of the
 *  silo called name. CV_ERR_INPUT if there is none or more than one. */
int cv_silo_find(const char *dir, const char *name, char **path, cv_err *err);

#endif
