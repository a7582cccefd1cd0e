/** The files that `covey init` writes: short, commented, and valid as they are.
 *
 *  In both, a line "#  key: value" or "#key: value" is an option with its
 *  default: taking the '#' away changes nothing (tests hold that).
 */
#ifndef COVEY_IO_TEMPLATE_H
#define COVEY_IO_TEMPLATE_H

extern const char cv_template_job[];
extern const char cv_template_silo[];

#endif
