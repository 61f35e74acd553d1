# mlpd
#
#   make            build build/release/mlpd
#   make test       install what is missing, build, run every test, print a counted line
#   make demo       install what is missing, build, show the whole journey on real tables
#   make run        the server in the foreground, its database under var/
#   make check      format, layers, headers, clang-tidy, tests under asan+ubsan and tsan
#   make asan|tsan  the tests in one sanitizer build
#   make bench      the service's speed, as ratios to peers measured in the same run
#   make bench-core the same for training, and accuracy on MNIST
#   make lib        build build/release/libmlp.a, the numeric core for programs in C
#   make install    DESTDIR= PREFIX=/usr/local: the daemon, libmlp.a and libmlp.h
#   make deps       only install what is missing (Debian packages, through apt-get)
#   make clean
#
# MODE=release|asan|tsan picks the build, V=1 shows commands, WERROR=1 makes warnings fatal.

MODE     ?= release
B        := build/$(MODE)
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0

CC         ?= cc
PKG_CONFIG ?= pkg-config
OBJCOPY    ?= objcopy
LIBS       := libmicrohttpd jansson sqlite3 openblas libsodium
TEST_LIBS  := cmocka libcurl jansson sqlite3

# Everything a fresh Debian 12 with git and make still lacks.
DEPS := gcc libc6-dev pkg-config libmicrohttpd-dev libjansson-dev libsqlite3-dev \
        libopenblas-pthread-dev libsodium-dev libcmocka-dev \
        libcurl4-openssl-dev curl jq ca-certificates
CHECK_DEPS := clang-format-14 clang-tidy-14 libclang-common-14-dev

Q := $(if $(V),,@)

# Targets that build and then do something build on all cores.
BUILD = $(MAKE) --no-print-directory -j$(shell nproc 2>/dev/null || echo 1)

# --- flags ---------------------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion \
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wcast-qual \
        -Wcast-align -Wwrite-strings -Wpointer-arith -Wundef -Wvla -Wformat=2
ifneq (,$(findstring gcc,$(shell $(CC) --version 2>/dev/null | head -n 1))$(filter cc gcc,$(CC)))
WARN += -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wnull-dereference
endif
WARN += $(if $(WERROR),-Werror)

HARDEN := -fstack-protector-strong -fPIE
ifneq (,$(filter x86_64-%,$(shell $(CC) -dumpmachine 2>/dev/null)))
HARDEN += -fstack-clash-protection -fcf-protection
endif

MODE_FLAGS.release := -O2 -g -D_FORTIFY_SOURCE=2 $(HARDEN)
MODE_FLAGS.asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
                      -fno-sanitize-recover=all -fPIE
MODE_FLAGS.tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -fPIE
MODE_LINK.release  := -pie -Wl,-z,relro,-z,now,-z,noexecstack
MODE_LINK.asan     := -pie -fsanitize=address,undefined
MODE_LINK.tsan     := -pie -fsanitize=thread
ifeq (,$(MODE_FLAGS.$(MODE)))
$(error MODE must be release, asan or tsan, not '$(MODE)')
endif

PKG_CFLAGS  := $(shell $(PKG_CONFIG) --cflags $(LIBS) 2>/dev/null)
PKG_LIBS    := $(shell $(PKG_CONFIG) --libs $(LIBS) 2>/dev/null)
TEST_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(TEST_LIBS) 2>/dev/null)
TEST_LDLIBS := $(shell $(PKG_CONFIG) --libs $(TEST_LIBS) 2>/dev/null)

# -fopenmp-simd honours `#pragma omp simd` in the kernels; it starts no thread. The core
# is built with -O3: its inner loops are what the service spends its time in. It reads neither
# errno nor exception flags after its arithmetic, and saying so lets square roots and
# conditions be vectorised; NaN and infinities stay what they are.
BASE_FLAGS  = -std=c17 -D_POSIX_C_SOURCE=200809L -D_GNU_SOURCE -pthread -fopenmp-simd \
              -Isrc -DMLPD_VERSION='"$(VERSION)"' $(MODE_FLAGS.$(MODE))
ALL_CFLAGS  = $(BASE_FLAGS) $(WARN) $(PKG_CFLAGS) $(CFLAGS)
LDLIBS_ALL := $(PKG_LIBS) -lm -pthread

# --- files ---------------------------------------------------------------------------

LIB_SRC  := $(filter-out src/main.c,$(wildcard src/*.c src/*/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o) $(B)/gen/migrations.o $(B)/gen/openapi.o
MAIN_OBJ := $(B)/src/main.o
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
API_BIN  := $(patsubst tests/api/%.c,$(B)/tests/api/%,$(wildcard tests/api/test_*.c))
API_OBJ  := $(patsubst tests/api/%.c,$(B)/tests/api/%.o,$(filter-out tests/api/test_%.c,$(wildcard tests/api/*.c)))
# What libmlp.a is made of: the core and the words of base that it speaks.
CORE_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard src/core/*.c)) \
            $(patsubst %,$(B)/src/base/%.o,buf decimal endian err json_scan mem rng utf8)
EXAMPLE  := $(B)/tests/example/iris
HEADERS  := $(wildcard src/*.h src/*/*.h)
SOURCES  := $(wildcard src/*.[ch] src/*/*.[ch] tests/unit/*.[ch] tests/api/*.[ch] \
              tests/bench/*.[ch] tests/example/*.c)

.PHONY: all lib tests test demo run check asan tsan bench bench-core install \
        install-daemon install-lib clean deps check-deps \
        check-format check-layers check-headers check-tidy check-release format
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/mlpd

$(B)/mlpd: $(MAIN_OBJ) $(B)/libmlpd.a
	@echo "  LD    $@"
	$(Q)$(CC) $(MODE_LINK.$(MODE)) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

$(B)/libmlpd.a: $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

lib: $(B)/libmlp.a

# One object, of which only libmlp.h's names can be seen: err_set or fit_run of the core
# cannot clash with those of a program.
$(B)/libmlp.a: $(CORE_OBJ)
	@echo "  AR    $@"
	$(Q)$(LD) -r -o $(B)/libmlp.o $^
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='libmlp_*' $(B)/libmlp.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/libmlp.o

$(B)/src/core/%.o: MODE_FLAGS.release := $(MODE_FLAGS.release) -O3 -fno-math-errno -fno-trapping-math

$(B)/src/%.o: src/%.c
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/%.o: $(B)/gen/%.c
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Files that the binary carries: each becomes an array of bytes.
BYTES = od -An -v -td1 $(1) | sed 's/ *\(-*[0-9][0-9]*\)/\1,/g'

$(B)/gen/migrations.c: $(sort $(wildcard migrations/sqlite/*.sql)) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "store/migrate.h"'; \
	   for f in $(sort $(wildcard migrations/sqlite/*.sql)); do \
	     n=$$(basename $$f .sql); echo "static const char sql_$$n[] = {"; \
	     $(call BYTES,$$f); echo '0};'; done; \
	   echo 'const struct migration migrate_embedded[] = {'; \
	   for f in $(sort $(wildcard migrations/sqlite/*.sql)); do \
	     n=$$(basename $$f .sql); \
	     echo "{$$(echo $${n%%_*} | sed 's/^0*//'), \"$$n\", sql_$$n},"; done; \
	   echo '{0, 0, 0}};'; } > $@

$(B)/gen/openapi.c: src/api/openapi.json Makefile
	@mkdir -p $(@D)
	@{ echo '#include "api/openapi.h"'; echo 'const char openapi_document[] = {'; \
	   $(call BYTES,$<); echo '0};'; \
	   echo 'const size_t openapi_document_len = sizeof openapi_document - 1;'; } > $@

# --- tests ---------------------------------------------------------------------------

TEST_FLAGS = $(BASE_FLAGS) -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
             $(if $(WERROR),-Werror) $(PKG_CFLAGS) $(TEST_CFLAGS) -Itests $(CFLAGS)

$(B)/tests/%.o: tests/%.c
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_FLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(B)/libmlpd.a
	$(Q)$(CC) $(MODE_LINK.$(MODE)) -o $@ $^ $(LDLIBS_ALL) $(TEST_LDLIBS)

$(B)/tests/api/test_%: $(B)/tests/api/test_%.o $(API_OBJ) $(B)/libmlpd.a
	$(Q)$(CC) $(MODE_LINK.$(MODE)) -o $@ $^ $(LDLIBS_ALL) $(TEST_LDLIBS)

# The example gets what a user gets: an install tree, and what libmlp.pc says to link.
INSTALLED := $(abspath $(B))/installed
$(EXAMPLE): tests/example/iris.c src/core/libmlp.h src/core/libmlp.pc.in $(B)/libmlp.a
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(MAKE) -s install-lib DESTDIR= PREFIX=$(INSTALLED) >/dev/null
	$(Q)$(CC) -std=c17 $(MODE_FLAGS.$(MODE)) $(MODE_LINK.$(MODE)) -o $@ $< \
	  $$(PKG_CONFIG_PATH=$(INSTALLED)/lib/pkgconfig $(PKG_CONFIG) --cflags --libs \
	     --static libmlp)

tests: $(B)/mlpd $(UNIT_BIN) $(API_BIN) $(EXAMPLE)

test: deps
	@$(BUILD) MODE=$(MODE) tests
	@tests/run.sh $(B)

asan tsan:
	@$(BUILD) MODE=$@ tests
	@tests/run.sh build/$@

demo: deps
	@$(BUILD) MODE=release all
	@tests/demo.sh build/release/mlpd

run: deps
	@$(BUILD) MODE=release all
	@mkdir -p var
	@exec build/release/mlpd serve --db var/mlpd.db

bench: all
	@tests/bench/run.sh $(B)

bench-core: $(B)/libmlpd.a
	@tests/bench/core.sh $(B)

# --- checks --------------------------------------------------------------------------

check: deps check-deps
	@$(BUILD) WERROR=1 check-release
	@$(MAKE) --no-print-directory WERROR=1 check-format check-layers check-headers check-tidy
	@$(MAKE) --no-print-directory WERROR=1 asan
	@$(MAKE) --no-print-directory WERROR=1 tsan

check-release: all tests

check-format:
	@echo "  FORMAT"
	$(Q)clang-format-14 --dry-run -Werror $(SOURCES)

format:
	$(Q)clang-format-14 -i $(SOURCES)

check-layers:
	@echo "  LAYERS"
	$(Q)tests/lint/layers.sh src

check-headers:
	@echo "  HEADERS"
	$(Q)for h in $(HEADERS); do \
	  $(CC) $(ALL_CFLAGS) -fsyntax-only -x c -include $$h /dev/null || exit 1; done
	$(Q)clang-tidy-14 --quiet '--checks=-*,misc-static-assert' src/core/libmlp.h -- -x c++ \
	  2>/dev/null

# The version's quotes would not survive the inner shell.
TIDY_FLAGS = $(filter-out -DMLPD_VERSION=%,$(BASE_FLAGS)) -DMLPD_VERSION=__FILE__ $(PKG_CFLAGS)

check-tidy:
	@echo "  TIDY"
	$(Q)printf '%s\n' $(wildcard src/*.c src/*/*.c) | \
	  xargs -P $$(nproc) -n 4 sh -c 'clang-tidy-14 --quiet "$$@" -- $(TIDY_FLAGS) 2>/dev/null' sh

# --- set-up --------------------------------------------------------------------------

# Installs what is missing and says so; silent and offline when nothing is.
INSTALL_MISSING = missing=; for p in $(1); do \
	  case "$$(dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null)" in \
	    installed) ;; *) missing="$$missing $$p" ;; esac; done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing with apt-get:$$missing"; \
	  as=; [ "$$(id -u)" = 0 ] || as=sudo; \
	  $$as apt-get update -qq && \
	  $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends $$missing >/dev/null; fi

deps:
	@if command -v dpkg-query >/dev/null 2>&1; then $(call INSTALL_MISSING,$(DEPS)); \
	else echo "Not a Debian system: please install $(DEPS)"; fi

check-deps:
	@if command -v dpkg-query >/dev/null 2>&1; then $(call INSTALL_MISSING,$(CHECK_DEPS)); fi

install: install-daemon install-lib

install-daemon: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/mlpd $(DESTDIR)$(PREFIX)/bin/mlpd

install-lib: lib
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 src/core/libmlp.h $(DESTDIR)$(PREFIX)/include/libmlp.h
	install -m 644 $(B)/libmlp.a $(DESTDIR)$(PREFIX)/lib/libmlp.a
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' src/core/libmlp.pc.in \
	  >$(DESTDIR)$(PREFIX)/lib/pkgconfig/libmlp.pc

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
