# Everything that is done here is a go command or a script of this repository.

.PHONY: build release lint test test-jobs simulation bench

build: # bin/caddy: stock Caddy with this plugin
	CGO_ENABLED=0 go build -o bin/caddy ./cmd/caddy

DIST = dist
PLATFORMS = linux-amd64 linux-arm64
release: # the same source gives the same bytes; scripts/check-release shows it
	mkdir -p $(DIST)
	set -e; for p in $(PLATFORMS); do CGO_ENABLED=0 GOOS=$${p%-*} GOARCH=$${p#*-} \
		go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o $(DIST)/caddy-$$p ./cmd/caddy; done
	cd $(DIST) && sha256sum $(PLATFORMS:%=caddy-%) > SHA256SUMS

lint:
	scripts/check-format
	go vet ./...
	go tool staticcheck ./...

test:
	scripts/test-setup
	# What takes longest comes first, so that nothing is waited for alone at the end. Much of
	# it waits more than it works, so three packages share two processors. What looks at the
	# clock comes last, when little else runs: the jobs and the simulation have what processor
	# time it leaves; the latter has no race detector, under which SQLite, all Go here, is many
	# times slower. lint has vetted all, and no debugger comes: to link without what one needs
	# takes a quarter less.
	$(TEST) -p 3 -timeout 20m ./tests/machines ./tracker/store/sqlstore ./tests/upkeep \
		$$(go list ./... | grep -vE '/(tracker/job|tests/outage|tests/failover|tests/simulation)$$')
	nice -n 19 $(MAKE) -j 2 test-jobs simulation & beside=$$!; \
		$(TEST) -timeout 15m ./tests/outage ./tests/failover; failed=$$?; \
		wait $$beside && exit $$failed

TEST = go test -race -vet=off -ldflags=-w
test-jobs:
	$(TEST) -timeout 20m ./tracker/job

SEEDS = 1000
SEED = 1
simulation: # docs/simulation.md; make simulation SEEDS=100000 SEED=1001
	go test -vet=off -timeout 24h ./tests/simulation -seeds $(SEEDS) -seed $(SEED)

bench: # needs wrk, nginx and the databases of the tests; make bench BENCH=-help for its options
	go run ./tests/bench $(BENCH)
