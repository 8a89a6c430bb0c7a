# contrib/: units, sample configuration and policies, and where they go.
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
brigconfdir = $(sysconfdir)/brig
brigexamplesdir = $(docdir)/examples

EXTRA_DIST += contrib/systemd/brigd.service.in \
	contrib/systemd/inferd.service.in contrib/inferd.env \
	contrib/systemd/brig.sysusers contrib/systemd/brig.tmpfiles
BRIG_UNITS = contrib/systemd/brigd.service contrib/systemd/inferd.service
CLEANFILES += $(BRIG_UNITS)

dist_brigexamples_DATA = contrib/brigd.conf contrib/policies/ci.policy \
	contrib/policies/coding.policy contrib/policies/research.policy
nodist_systemdsystemunit_DATA = $(BRIG_UNITS)

make_unit = $(AM_V_GEN)$(MKDIR_P) contrib/systemd && \
	sed -e 's|@sbindir[@]|$(sbindir)|g' \
	    -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	    $(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
contrib/systemd/brigd.service: contrib/systemd/brigd.service.in Makefile
	$(make_unit)
contrib/systemd/inferd.service: contrib/systemd/inferd.service.in Makefile
	$(make_unit)

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
	[ -e '$(DESTDIR)$(brigconfdir)/inferd.env' ] || \
	    $(INSTALL_DATA) $(srcdir)/contrib/inferd.env \
	    '$(DESTDIR)$(brigconfdir)/inferd.env'
	[ -e '$(DESTDIR)$(brigconfdir)/policy.d/default.policy' ] || \
	    $(INSTALL_DATA) $(srcdir)/contrib/policies/default.policy \
	    '$(DESTDIR)$(brigconfdir)/policy.d/default.policy'

uninstall-local:
	rm -f '$(DESTDIR)$(sysusersdir)/brig.conf' \
	    '$(DESTDIR)$(tmpfilesdir)/brig.conf'
	! cmp -s $(srcdir)/contrib/brigd.conf \
	    '$(DESTDIR)$(brigconfdir)/brigd.conf' || \
	    rm -f '$(DESTDIR)$(brigconfdir)/brigd.conf'
	! cmp -s $(srcdir)/contrib/inferd.env \
	    '$(DESTDIR)$(brigconfdir)/inferd.env' || \
	    rm -f '$(DESTDIR)$(brigconfdir)/inferd.env'
	! cmp -s $(srcdir)/contrib/policies/default.policy \
	    '$(DESTDIR)$(brigconfdir)/policy.d/default.policy' || \
	    rm -f '$(DESTDIR)$(brigconfdir)/policy.d/default.policy'
