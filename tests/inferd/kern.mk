# What computes.
KERN_TESTS = tests/inferd/test_kern tests/inferd/test_kern_delta \
	tests/inferd/test_pool tests/inferd/test_crowd tests/inferd/test_gain \
	tests/inferd/test_warm \
	tests/inferd/test_quant
check_PROGRAMS += $(KERN_TESTS)
TESTS += $(KERN_TESTS)
tests_inferd_test_gain_SOURCES = tests/inferd/test_gain.c
tests_inferd_test_gain_LDADD = $(KERN_LIBS) libbase.a $(CMOCKA_LIBS)
tests_inferd_test_crowd_SOURCES = tests/inferd/test_crowd.c
tests_inferd_test_crowd_LDADD = $(KERN_LIBS) libbase.a $(CMOCKA_LIBS)
tests_inferd_test_warm_SOURCES = tests/inferd/test_warm.c \
	tests/inferd/large_pages.h
tests_inferd_test_warm_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_pool_SOURCES = tests/inferd/test_pool.c
tests_inferd_test_pool_LDADD = $(KERN_LIBS) libbase.a -lpthread $(CMOCKA_LIBS)
tests_inferd_test_quant_SOURCES = tests/inferd/test_quant.c \
	tests/inferd/random_blocks.h
tests_inferd_test_quant_LDADD = $(KERN_LIBS) libbase.a -lm $(CMOCKA_LIBS)
tests_inferd_test_kern_delta_SOURCES = tests/inferd/test_kern_delta.c \
	tests/inferd/random_blocks.h
tests_inferd_test_kern_delta_LDADD = $(KERN_LIBS) libbase.a -lm $(CMOCKA_LIBS)
tests_inferd_test_kern_SOURCES = tests/inferd/test_kern.c
tests_inferd_test_kern_LDADD = $(KERN_LIBS) libbase.a -lm $(CMOCKA_LIBS)
