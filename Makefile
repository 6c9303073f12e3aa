# Plumbline. `make bench` builds everything into build/bin; `make check` tests it; see README.md.
# A program is FOLDER/NAME.c, with NAME.cu beside it where it has device code; both are found by wildcard.

BUILD  ?= build
PREFIX ?= /usr/local
ifeq ($(strip $(BUILD)),)
override BUILD := build
endif
ifeq ($(origin CC),default)
CC := gcc
endif
ARCH   ?= 90a
DEPS   ?= auto

.DEFAULT_GOAL := bench
.PHONY: always
.SECONDARY:
.SUFFIXES:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

ifeq ($(filter clean help,$(MAKECMDGOALS)),)
include $(BUILD)/config.mk
endif
# The manifest asks CUDA's libraries for their versions, in programs that do not link them as well.
LIBS += $(filter -Wl%,$(LIBS_cuda))
settings := $(CC) $(CXX_HOST) $(ARCH) $(NO_CUDA) $(CUDA_HOME)
$(BUILD)/settings: always
	@mkdir -p $(@D); echo '$(settings)' | cmp -s - $@ || echo '$(settings)' >$@
$(BUILD)/config.mk: scripts/configure.sh scripts/deps.sh scripts/probe.sh $(BUILD)/settings
	@mkdir -p $(BUILD)
	@DEPS=$(DEPS) CC="$(CC)" CXX_HOST="$(CXX_HOST)" ARCH="$(ARCH)" CUDA_HOME="$(CUDA_HOME)" NO_CUDA="$(NO_CUDA)" \
	    scripts/configure.sh $@

# V=1 shows whole commands
V   ?= 0
Q   := $(if $(filter 0,$(V)),@)
SAY := @$(if $(filter 0,$(V)),echo,:)

VERSION  := 0.1.0
FOLDERS  := bench kernels collectives attention lra_tasks
OPTIMIZE ?= -O3 -march=native
WARN     := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes
CFLAGS_ALL   = -std=gnu11 $(OPTIMIZE) -g -fopenmp $(WARN) -I. -DPLUMBLINE_VERSION='"$(VERSION)"' \
              $(CONFIG_CFLAGS) $(SANITIZE) $(CFLAGS)
GENCODE     ?= $(foreach a,$(ARCH),-gencode=arch=compute_$(a),code=sm_$(a)) \
               -gencode=arch=compute_$(lastword $(ARCH:%a=%)),code=compute_$(lastword $(ARCH:%a=%))
NVCCFLAGS_ALL = -std=c++20 -O3 -lineinfo $(GENCODE) -ccbin $(CXX_HOST) -I. \
                -Xcompiler -Wall,-Wextra,-Wno-missing-field-initializers,-fopenmp $(CONFIG_NVCCFLAGS) $(NVCCFLAGS)
CXX_HOST    ?= g++

# What a source needs beyond the required libraries, by the line ` * needs: a b` of its title comment.
sources  := $(wildcard $(FOLDERS:%=%/*.c) $(FOLDERS:%=%/*/*.c) $(FOLDERS:%=%/*.cu) $(FOLDERS:%=%/*/*.cu))
sources  := $(filter-out $(FOLDERS:%=%/tests/%),$(sources))
needs_of  = $(shell sed -n 's/^ \* needs: *//p' $(1))
unmet_of  = $(filter-out $(HAVE),$(call needs_of,$(1)) $(if $(filter %.cu,$(1)),cuda))
unmet    := $(foreach s,$(sources),$(if $(call unmet_of,$(s)),$(s)))
sources  := $(filter-out $(unmet),$(sources))
object_of = $(patsubst %,$(BUILD)/%.o,$(1))

# bench/: the archive, and the parts a program gets instead of the archive's empty defaults.
bench_special := bench/ranks_mpi.c bench/tool_%.c
bench_sources := $(filter-out $(bench_special),$(filter bench/%.c,$(sources)))
bench_cuda    := $(call object_of,$(filter bench/%.cu,$(sources)))
libbench      := $(BUILD)/libbench.a
tools         := $(patsubst bench/tool_%.c,%,$(filter bench/tool_%.c,$(sources)))

root_c      = $(foreach s,$(filter $(1)/%.c,$(sources)),$(if $(filter 2,$(words $(subst /, ,$(s)))),$(s)))
library_c   = $(foreach s,$(filter $(1)/%,$(sources)),$(if $(filter 3,$(words $(subst /, ,$(s)))),$(s)))
programs   := $(foreach f,$(filter-out bench,$(FOLDERS)),$(call root_c,$(f)))
names      := $(foreach p,$(programs),$(basename $(notdir $(p))))
libraries  := $(foreach f,lra_tasks attention collectives kernels,$(if $(call library_c,$(f)),$(BUILD)/lib$(f).a))
# floors: a folder links its own library and those below it
below_kernels     := kernels
below_collectives := collectives kernels
below_attention   := attention kernels
below_lra_tasks   := lra_tasks attention kernels

report_sources := $(wildcard reports/*.c)
report_shared  := $(wildcard reports/lib/*.c)
report_unmet   := $(foreach s,$(report_sources) $(report_shared),$(if $(call unmet_of,$(s)),$(s)))
unmet          += $(filter $(report_sources),$(report_unmet))
report_sources := $(filter-out $(report_unmet),$(report_sources))
report_shared  := $(filter-out $(report_unmet),$(report_shared))
report_names   := $(basename $(notdir $(report_sources)))
libreports     := $(BUILD)/libreports.a
libs_needed     = $(foreach n,$(call needs_of,$(1)),$(LIBS_$(n)))

binaries := $(addprefix $(BUILD)/bin/,$(names) $(tools) $(report_names))

# What to tell of: that CUDA itself is missing has been said already, by configure.sh.
left_out = $(foreach s,$(unmet),$(if $(filter-out cuda,$(call unmet_of,$(s))),$(if $(NVCC)$(filter-out %.cu,$(s)),$(s))))

.PHONY: bench
bench: $(binaries)
	@$(foreach u,$(left_out),echo "left out: $(u) (needs $(call unmet_of,$(u)))" >&2;)
	@printf '%s\n' $(names) >$(BUILD)/programs
	@echo "built $(words $(binaries)) programs in $(BUILD)/bin; next: ./run_all.sh" >&2

$(BUILD)/%.c.o: %.c $(BUILD)/config.mk
	@mkdir -p $(@D)
	$(SAY) "  cc    $<"
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
# The assembler only remarks that it made warpgroup instructions wait for one another (C7510 .. C7529): an error here.
$(BUILD)/%.cu.o: %.cu $(BUILD)/config.mk
	@mkdir -p $(@D)
	$(SAY) "  nvcc  $<"
	$(Q)$(NVCC) $(NVCCFLAGS_ALL) -MMD -MP -c $< -o $@ >$@.log 2>&1; status=$$?; cat $@.log >&2; \
	    [ $$status -eq 0 ] && ! grep -q '(C75[12][0-9])' $@.log

# what the manifest says of the build
COMMIT := $(shell git rev-parse -q --verify HEAD 2>/dev/null)
COMMIT := $(COMMIT)$(if $(shell git status --porcelain -uno 2>/dev/null),-dirty)
$(BUILD)/bench/manifest.c.o: $(BUILD)/stamp
$(BUILD)/bench/manifest.c.o: CFLAGS += -DPLUMBLINE_COMMIT='"$(COMMIT)"' -DPLUMBLINE_FLAGS='"$(OPTIMIZE)"'
$(BUILD)/stamp: always
	@mkdir -p $(@D); echo '$(COMMIT) $(OPTIMIZE)' | cmp -s - $@ || echo '$(COMMIT) $(OPTIMIZE)' >$@

$(libbench): $(call object_of,$(bench_sources))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
define library_rule
$(BUILD)/lib$(1).a: $(call object_of,$(call library_c,$(1)))
	@rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef
$(foreach f,lra_tasks attention collectives kernels,$(if $(call library_c,$(f)),$(eval $(call library_rule,$(f)))))

# $(1) folder, $(2) name
define program_rule
program_$(2)_sources   := $(filter $(1)/$(2).c $(1)/$(2).cu,$(sources))
program_$(2)_libraries := $(filter $(foreach f,$(below_$(1)),$(BUILD)/lib$(f).a),$(libraries))
program_$(2)_cuda      := $(if $(filter $(1)/$(2).cu,$(sources)),$(bench_cuda))
program_$(2)_mpi       := $(if $(filter collectives,$(1)),$(call object_of,$(filter bench/ranks_mpi.c,$(sources))))
$(BUILD)/bin/$(2): $$(call object_of,$$(program_$(2)_sources)) $$(program_$(2)_cuda) $$(program_$(2)_mpi) \
                   $$(program_$(2)_libraries) $(libbench)
	@mkdir -p $$(@D)
	$(SAY) "  link  $$(notdir $$@)"
	$(Q)$(CC) $(CFLAGS_ALL) $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LDFLAGS) \
	    $$(if $$(program_$(2)_cuda),$$(LIBS_cuda) $$(LIBS_cublasLt) $$(LIBS_nccl_$(1)) $$(LIBS_cudnn_$(1))) \
	    $$(if $$(program_$(2)_mpi),$$(LIBS_mpi)) $$(LIBS) -o $$@
endef
$(foreach p,$(programs),$(eval $(call program_rule,$(word 1,$(subst /, ,$(p))),$(basename $(notdir $(p))))))
LIBS_nccl_collectives = $(LIBS_nccl)
LIBS_cudnn_attention  = $(LIBS_cudnn)
LIBS_cudnn_lra_tasks  = $(LIBS_cudnn)

define tool_rule
$(BUILD)/bin/$(1): $(BUILD)/bench/tool_$(1).c.o $(libbench)
	@mkdir -p $$(@D)
	$(SAY) "  link  $$(notdir $$@)"
	$(Q)$(CC) $(CFLAGS_ALL) $$^ $(LDFLAGS) $(LIBS) -o $$@
endef
$(foreach t,$(tools),$(eval $(call tool_rule,$(t))))
$(libreports): $(call object_of,$(report_shared))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
define report_rule
$(BUILD)/bin/$(1): $(BUILD)/reports/$(1).c.o $(libreports) $(libbench)
	@mkdir -p $$(@D)
	$(SAY) "  link  $$(notdir $$@)"
	$(Q)$(CC) $(CFLAGS_ALL) $$^ $(LDFLAGS) $$(call libs_needed,reports/$(1).c) $(LIBS) -o $$@
endef
$(foreach r,$(report_names),$(eval $(call report_rule,$(r))))

# Tests: FOLDER/tests/test_*.c (cmocka) and test_*.sh; scripts/check.sh runs and counts them.
test_sources := $(wildcard $(addsuffix /tests/test_*.c,$(FOLDERS) reports))
ifeq ($(filter cmocka,$(HAVE)),)
test_sources :=
endif
test_sources := $(foreach s,$(test_sources),$(if $(filter reports/%,$(s)),$(if $(call unmet_of,$(s)),,$(s)),$(s)))
test_binaries := $(test_sources:%.c=$(BUILD)/%)
test_scripts  := $(wildcard $(addsuffix /tests/test_*.sh,$(FOLDERS) reports scripts))
define test_rule
$(BUILD)/$(1): $(BUILD)/$(1).c.o $(if $(filter reports/%,$(1)),$(libreports),\
    $(filter $(foreach f,$(below_$(firstword $(subst /, ,$(1)))),$(BUILD)/lib$(f).a),$(libraries))) $(libbench)
	$(SAY) "  link  $$(notdir $$@)"
	$(Q)$(CC) $(CFLAGS_ALL) $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LDFLAGS) \
	    $$(if $$(filter attention/% lra_tasks/%,$(1)),$$(LIBS_cuda) $$(LIBS_cudnn)) \
	    $$(if $$(filter reports/%,$(1)),$$(call libs_needed,$(1).c)) $$(LIBS) -lcmocka -o $$@
endef
$(foreach t,$(test_sources:%.c=%),$(eval $(call test_rule,$(t))))

# FOLDER/tests/program_*.c: harness programs that misbehave on purpose
test_programs := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/tests/program_*.c))
$(BUILD)/bench/tests/program_%: $(BUILD)/bench/tests/program_%.c.o $(libbench)
	$(SAY) "  link  $(notdir $@)"
	$(Q)$(CC) $(CFLAGS_ALL) $^ $(LDFLAGS) $(LIBS) -o $@

.PHONY: tests check check-gpu asan install uninstall clean configure help
tests: $(test_binaries) $(test_programs)
check: bench tests
	@BUILD=$(BUILD) scripts/check.sh $(test_binaries) $(test_scripts)
check-gpu: bench
	@BUILD=$(BUILD) scripts/check_gpu.sh $(if $(JOBS),-j $(JOBS))
# PRESET, ONLY, LAUNCHES and OUT go to both; see scripts/baseline.sh --help and scripts/gate.sh --help
gate_words = $(if $(PRESET),--preset $(PRESET)) $(if $(ONLY),--only $(ONLY)) $(if $(LAUNCHES),--launches $(LAUNCHES))
.PHONY: baseline gate
baseline: bench
	@BUILD=$(BUILD) scripts/baseline.sh $(gate_words) $(if $(REPLACE),--replace)
gate: bench
	@BUILD=$(BUILD) scripts/gate.sh $(gate_words) $(if $(BASELINE),--baseline $(BASELINE)) \
	    $(if $(AGAINST),--against $(AGAINST)) $(if $(LIMITS),--limits $(LIMITS)) $(if $(OUT),--out $(OUT))
asan:
	$(MAKE) BUILD=$(BUILD)-asan OPTIMIZE="-O1 -march=native" NO_CUDA=1 \
	    SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer" check
configure:
	@rm -f $(BUILD)/config.mk
	@$(MAKE) --no-print-directory $(BUILD)/config.mk
clean:
	rm -rf $(BUILD) $(BUILD)-asan

# Installed programs are called plumbline-NAME: several of the plain names (compare, report) are taken elsewhere.
bin_folder   = $(DESTDIR)$(PREFIX)/bin
share_folder = $(DESTDIR)$(PREFIX)/share/plumbline
published   := $(wildcard $(FOLDERS:%=%/published.csv))
install: bench
	install -d $(bin_folder) $(share_folder)/published
	$(foreach b,$(notdir $(binaries)),install -m 755 $(BUILD)/bin/$(b) $(bin_folder)/plumbline-$(b) &&) true
	$(foreach f,$(published),install -m 644 $(f) $(share_folder)/published/$(patsubst %/,%,$(dir $(f))).csv &&) true
	install -m 755 run_all.sh $(share_folder)/run_all.sh
	install -m 644 $(BUILD)/programs $(share_folder)/programs
	ln -sf ../share/plumbline/run_all.sh $(bin_folder)/plumbline-run
uninstall:
	rm -f $(addprefix $(bin_folder)/plumbline-,run $(notdir $(binaries)))
	rm -rf $(share_folder)

define help_text
make bench       build every program into $(BUILD)/bin (the default)
make check       build and run the tests
make check-gpu   everything that needs a device: JOBS=6 (parts at a time; half the cores, six on one device)
make asan        the tests under the address and undefined-behaviour sanitizers, in $(BUILD)-asan
make baseline    record five launches as this machine's baseline: PRESET=quick ONLY=suite LAUNCHES=5 REPLACE=1
make gate        measure and compare: BASELINE=folder or AGAINST=checkout, LIMITS=file, OUT=folder, as above
make install     programs to PREFIX/bin/plumbline-NAME, run_all.sh to PREFIX/bin/plumbline-run
make uninstall   take them away again
make configure   look for compilers and libraries again
make clean       remove $(BUILD) and $(BUILD)-asan
variables: BUILD=folder  PREFIX=/usr/local  DESTDIR=  CC=gcc  CUDA_HOME=folder  NO_CUDA=1  ARCH=90a
           DEPS=auto|off (off never installs packages)  CFLAGS=  NVCCFLAGS=  LDFLAGS=  OPTIMIZE="-O3 -march=native"  V=1
endef
export help_text
help:
	@echo "$$help_text"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
