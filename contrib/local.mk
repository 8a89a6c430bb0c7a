# contrib/: units, sample configuration and policies, and where they go.
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
brigconfdir = $(sysconfdir)/brig
brigexamplesdir = $(docdir)/examples

EXTRA_DIST += contrib/systemd/brigd.service.in \
	contrib/systemd/brig.sysusers contrib/systemd/brig.tmpfiles
CLEANFILES += contrib/systemd/brigd.service

dist_brigexamples_DATA = contrib/brigd.conf contrib/policies/ci.policy \
	contrib/policies/coding.policy contrib/policies/research.policy
nodist_systemdsystemunit_DATA = contrib/systemd/brigd.service

contrib/systemd/brigd.service: contrib/systemd/brigd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) contrib/systemd && \
	sed -e 's|@sbindir[@]|$(sbindir)|g' \
	    -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	    $(srcdir)/contrib/systemd/brigd.service.in >$@.tmp && \
	mv $@.tmp $@

# What an administrator may have changed is never overwritten, nor removed
# unless it is still as installed.
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(sysusersdir)' '$(DESTDIR)$(tmpfilesdir)' \
	    '$(DESTDIR)$(brigconfdir)/policy.d'
	$(INSTALL_DATA) $(srcdir)/contrib/systemd/brig.sysusers \
	    '$(DESTDIR)$(sysusersdir)/brig.conf'
	$(INSTALL_DATA) $(srcdir)/contrib/systemd/brig.tmpfiles \
	    '$(DESTDIR)$(tmpfilesdir)/brig.conf'
	[ -e '$(DESTDIR)$(brigconfdir)/brigd.conf' ] || \
	    $(INSTALL_DATA) $(srcdir)/contrib/brigd.conf \
	    '$(DESTDIR)$(brigconfdir)/brigd.conf'
	[ -e '$(DESTDIR)$(brigconfdir)/policy.d/default.policy' ] || \
	    $(INSTALL_DATA) $(srcdir)/contrib/policies/default.policy \
	    '$(DESTDIR)$(brigconfdir)/policy.d/default.policy'

uninstall-local:
	rm -f '$(DESTDIR)$(sysusersdir)/brig.conf' \
	    '$(DESTDIR)$(tmpfilesdir)/brig.conf'
	! cmp -s $(srcdir)/contrib/brigd.conf \
	    '$(DESTDIR)$(brigconfdir)/brigd.conf' || \
	    rm -f '$(DESTDIR)$(brigconfdir)/brigd.conf'
	! cmp -s $(srcdir)/contrib/policies/default.policy \
	    '$(DESTDIR)$(brigconfdir)/policy.d/default.policy' || \
	    rm -f '$(DESTDIR)$(brigconfdir)/policy.d/default.policy'
