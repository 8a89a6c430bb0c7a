# sandbox/: sources, added to the one makefile.
# SHA-256 alone, from libmd.
MD_LIBS = -lmd
# The jail's filters, as BPF: made once, when building.
noinst_PROGRAMS += sandbox/mkfilter
sandbox_mkfilter_SOURCES = sandbox/mkfilter.c \
	sandbox/calltab.c sandbox/calltab.h
sandbox_mkfilter_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS)
sandbox_mkfilter_CFLAGS = $(AM_CFLAGS) -Wno-missing-field-initializers
sandbox_mkfilter_LDADD = libbase.a $(SECCOMP_LIBS)
sandbox/filter_data.h: sandbox/mkfilter$(EXEEXT) sandbox/syscalls.tab
	$(AM_V_GEN)$(CROSS_RUN) ./sandbox/mkfilter$(EXEEXT) \
	    $(srcdir)/sandbox/syscalls.tab >$@.tmp && mv -f $@.tmp $@
# Its users find it by dependency tracking, once it is there.
$(libsandbox_a_OBJECTS): | sandbox/filter_data.h
CLEANFILES += sandbox/filter_data.h
EXTRA_DIST += sandbox/syscalls.tab

noinst_LIBRARIES += libsandbox.a
libsandbox_a_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS) $(CAP_CFLAGS)
# The macros of seccomp.h leave fields to be zero, which clang minds.
libsandbox_a_CFLAGS = $(AM_CFLAGS) -Wno-missing-field-initializers
libsandbox_a_SOURCES = \
	sandbox/ahead.c sandbox/ahead.h \
	sandbox/build.h \
	sandbox/capture.c sandbox/capture.h \
	sandbox/cgroup.c sandbox/cgroup_job.c sandbox/cgroup.h \
	sandbox/ctl.c \
	sandbox/doctor.c sandbox/doctor.h sandbox/doctor_part.h \
	sandbox/doctor_cgroup.c sandbox/doctor_files.c \
	sandbox/doctor_host.c sandbox/doctor_kernel.c \
	sandbox/env.c \
	sandbox/ext4file.c sandbox/ext4file.h \
	sandbox/filter.c sandbox/filter.h \
	sandbox/fstree.c sandbox/fstree.h \
	sandbox/home.c sandbox/home.h \
	sandbox/image.c sandbox/image.h \
	sandbox/image_unpack.c sandbox/image_unpack.h \
	sandbox/init.c \
	sandbox/jail.c sandbox/jail.h \
	sandbox/landlock.c sandbox/landlock.h \
	sandbox/loop.c sandbox/loop.h \
	sandbox/mount.c sandbox/mount.h \
	sandbox/netns.c sandbox/netns.h \
	sandbox/overlay.c sandbox/overlay.h \
	sandbox/stagedir.c sandbox/stagedir.h \
	sandbox/pathwalk.c sandbox/pathwalk.h \
	sandbox/place.c sandbox/place.h \
	sandbox/privs.c sandbox/privs.h \
	sandbox/protect.c sandbox/protect.h \
	sandbox/rules.c sandbox/rules.h \
	sandbox/sys.h \
	sandbox/tree.c sandbox/tree.h \
	sandbox/tree_etc.c \
	sandbox/tree_software.c \
	sandbox/unpack_check.c sandbox/unpack_check.h \
	sandbox/workload.c \
	sandbox/workspace.c sandbox/workspace.h \
	sandbox/self.c sandbox/self.h \
	sandbox/self_filter.c sandbox/self_filter.h \
	sandbox/self_landlock.c sandbox/self_landlock.h \
	sandbox/trace.c sandbox/trace.h \
	sandbox/trace_group.c sandbox/trace_group.h \
	sandbox/trace_image.c sandbox/trace_image.h \
	sandbox/trace_notify.c sandbox/trace_notify.h \
	sandbox/trace_stub.c sandbox/trace_stub.h \
	sandbox/trace_wait.c sandbox/trace_wait.h

# A program of its own, so that nothing else links libarchive.
pkglibexec_PROGRAMS += brig-unpack
brig_unpack_SOURCES = sandbox/unpack.c
brig_unpack_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS) $(ARCHIVE_CFLAGS)
brig_unpack_CFLAGS = $(AM_CFLAGS) -Wno-missing-field-initializers
brig_unpack_LDADD = libsandbox.a libbase.a $(ARCHIVE_LIBS) $(SECCOMP_LIBS) \
	$(CAP_LIBS)
