/** A site and its silo.yaml: which silo a rank claims, its data, its own log,
 *  and what of its errors the others may see. Local. */
#ifndef COVEY_JOBS_SITE_H
#define COVEY_JOBS_SITE_H

#include "io/table.h"
#include "jobs/run.h"

/** The silo that this rank claims with --silo, or -1 without it. */
int cv_site_claim(const cv_run *run, int *claim, cv_err *err);

/** Read the silo's silo.yaml into h->site, make its state folder (h->state_dir)
 *  and open its log. Nothing to do for a simulated silo. Errors are fit to
 *  travel. */
int cv_site_open(cv_run *run, cv_hosted *h, cv_err *err);

/** Read the data set that silo.yaml names; sets h->data. Errors are fit to
 *  travel. */
int cv_site_read(cv_run *run, cv_hosted *h, cv_table **table, cv_err *err);

/** Make an error about one silo fit to travel: its name and the sentence stay,
 *  the file moves into err->site, and the log that cv_agree_all writes to is
 *  this silo's. A simulated silo has nothing to hide: there the detail joins
 *  the sentence. Returns err's code. */
int cv_site_error(const cv_run *run, const cv_hosted *h, cv_err *err);

/** The same for an error in h->data: the detail says so. */
int cv_site_data_error(const cv_run *run, const cv_hosted *h, cv_err *err);

#endif
