/*
 * Time that a test lets pass: clock_gettime(2) of the program that links this
 * is ahead by it, in its children as well.  A loop that sleeps notices once
 * something wakes it.
 */
#ifndef BRIG_TESTS_LATER_H
#define BRIG_TESTS_LATER_H

#include <stdint.h>

/* Before the children are there. */
void later_init(void);
void later(uint64_t ms);

#endif
