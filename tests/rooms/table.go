package rooms

// row is what one room may import beside the standard library.
type row struct {
	// ours is the rooms it may import; a name that ends in /... means what is
	// below it too.
	ours []string
	// libs is the modules or packages of others it may import.
	libs []string
	// tests is the rooms that its tests may import too.
	tests []string
}

const (
	zapLib   = "go.uber.org/zap"
	syncLib  = "golang.org/x/sync"
	sysLib   = "golang.org/x/sys"
	timeLib  = "golang.org/x/time"
	caddyLib = "github.com/caddyserver/caddy/v2"

	everything = "..." // every room, or every library
)

// testLibs is what every test may import: comparing, property tests, and zap to
// make or to observe loggers.
var testLibs = []string{"github.com/google/go-cmp", "pgregory.net/rapid", zapLib, syncLib}

// cliTests is what tests of the command line need: an installation to talk to.
var cliTests = []string{"mogile", "tracker", "tracker/client", "tracker/store", "tests/installation", "tests/process"}

// table has a row for each room; the key is its directory, and a key that ends in
// /... means what is below it too.
var table = map[string]row{
	".":      {ours: []string{"caddymodule"}},
	"mogile": {},
	"tally":  {ours: []string{"mogile"}},

	"complaint": {libs: []string{zapLib}},
	"cache":     {ours: []string{"mogile", "tally"}, libs: []string{zapLib, syncLib, "github.com/dgraph-io/ristretto/v2"}},
	"edge":      {ours: []string{"mogile", "tally", "cache", "edge/..."}, libs: []string{zapLib, syncLib}},

	"edge/health":    {ours: []string{"mogile"}, libs: []string{zapLib}},
	"edge/semantics": {ours: []string{"mogile"}},

	"edge/background": {},
	"edge/buffer":     {},
	"edge/hedge":      {ours: []string{"mogile"}},
	"edge/outcome":    {ours: []string{"mogile", "tally", "cache"}},
	"edge/signature":  {},
	"edge/upload":     {ours: []string{"mogile", "edge/buffer"}},

	"tracker": {
		ours: []string{
			"mogile", "tally", "complaint", "tracker/command", "tracker/job", "tracker/node", "tracker/policy",
			"tracker/protocol", "tracker/store", "tracker/topology",
		},
		libs:  []string{zapLib, syncLib, timeLib},
		tests: []string{"tracker/store/sqlstore", "tests/database"},
	},
	"tracker/protocol":  {ours: []string{"mogile"}},
	"tracker/client":    {ours: []string{"mogile", "tracker/protocol"}, libs: []string{zapLib, syncLib}},
	"tracker/policy":    {ours: []string{"mogile"}},
	"tracker/fsck":      {ours: []string{"mogile"}},
	"tracker/rebalance": {ours: []string{"mogile"}},
	"tracker/node":      {ours: []string{"mogile"}, libs: []string{zapLib, syncLib}},
	"tracker/command": {
		ours: []string{
			"mogile", "tracker/protocol", "tracker/store", "tracker/topology", "tracker/upkeep",
		},
		libs:  []string{zapLib, syncLib},
		tests: []string{"tracker/store/sqlstore", "tests/database"},
	},
	"tracker/upkeep": {
		ours: []string{
			"mogile", "tracker/protocol", "tracker/store", "tracker/topology", "tracker/fsck", "tracker/rebalance",
		},
		tests: []string{"tracker/store/sqlstore"},
	},
	"tracker/topology": {
		ours:  []string{"mogile", "tracker/store"},
		libs:  []string{zapLib},
		tests: []string{"tracker/store/sqlstore", "tests/database"},
	},
	"tracker/monitor": {
		ours: []string{"mogile", "tracker/store", "tracker/topology", "tracker/node"},
		libs: []string{zapLib, syncLib},
	},
	"tracker/injector": {
		ours:  []string{"mogile", "tracker/store", "tracker/topology", "tracker/fsck", "tracker/rebalance"},
		libs:  []string{zapLib},
		tests: []string{"tracker/store/sqlstore"},
	},
	"tracker/checker": {
		ours: []string{"mogile", "tracker/store", "tracker/topology", "tracker/node", "tracker/fsck"},
		libs: []string{zapLib, syncLib},
	},
	"tracker/crew": {ours: []string{"mogile", "tracker/store"}, libs: []string{zapLib}},
	"tracker/job": {
		ours: []string{
			"mogile", "tally", "tracker/store", "tracker/topology", "tracker/policy", "tracker/node", "tracker/monitor", "tracker/checker",
			"tracker/crew", "tracker/fsck", "tracker/rebalance", "tracker/injector",
		},
		libs:  []string{zapLib, syncLib, timeLib},
		tests: []string{"tracker/store/sqlstore", "tests/database"},
	},
	"tracker/store": {ours: []string{"mogile"}},
	"tracker/store/sqlstore": {
		ours:  []string{"mogile", "tracker/store", "tracker/store/sqlstore/..."},
		libs:  []string{zapLib, syncLib, "modernc.org/sqlite", "github.com/go-sql-driver/mysql", "github.com/jackc/pgx/v5"},
		tests: []string{"tracker/store/storetest", "tests/database", "tests/legacy"},
	},
	"tracker/store/sqlstore/company":  {},
	"tracker/store/sqlstore/dsn":      {libs: []string{"github.com/go-sql-driver/mysql", "github.com/jackc/pgx/v5"}},
	"tracker/store/sqlstore/follower": {libs: []string{zapLib}},
	"tracker/store/sqlstore/gate":     {},
	"tracker/store/sqlstore/keyrange": {ours: []string{"mogile"}},
	"tracker/store/sqlstore/patience": {},
	"tracker/store/sqlstore/pipe":     {libs: []string{"github.com/jackc/pgx/v5"}},
	"tracker/store/sqlstore/recent":   {ours: []string{"mogile"}},
	"tracker/store/sqlstore/vitals": {
		ours:  []string{"tracker/store/sqlstore/dsn"},
		libs:  []string{"modernc.org/sqlite", "github.com/go-sql-driver/mysql", "github.com/jackc/pgx/v5"},
		tests: []string{"tests/database"},
	},
	"tracker/store/storetest": {ours: []string{"mogile", "tracker/store"}, libs: testLibs},

	"storage": {
		ours:  []string{"mogile", "tally", "complaint", "storage/background", "storage/blockdev", "storage/disk", "storage/openfiles", "storage/sidechannel"},
		libs:  []string{zapLib, syncLib, sysLib},
		tests: []string{"storage/disk/disktest", "tests/mount"},
	},
	"storage/blockdev": {libs: []string{sysLib}, tests: []string{"tests/mount"}},
	"storage/disk": {
		ours: []string{"mogile", "tally", "storage/dirsync", "storage/guard"}, libs: []string{zapLib, sysLib},
		tests: []string{"storage/disk/disktest", "tests/mount"},
	},
	"storage/disk/disktest": {ours: []string{"storage/disk"}, libs: testLibs},
	"storage/background":    {libs: []string{sysLib}, tests: []string{"tests/mount"}},
	"storage/dirsync":       {},
	"storage/guard":         {},
	"storage/openfiles":     {ours: []string{"storage/disk"}, libs: []string{sysLib}},
	"storage/sidechannel":   {ours: []string{"mogile", "storage/disk"}, libs: []string{zapLib, syncLib, sysLib}},

	"cli": {
		ours:  []string{"cli/..."},
		tests: cliTests,
	},
	"cli/admin": {
		ours: []string{"mogile", "cli/frame", "cli/screen", "tracker/client", "tracker/protocol"},
		libs: []string{syncLib},
	},
	"cli/files": {
		ours: []string{"mogile", "cli/frame", "cli/screen", "cli/transfer", "tracker/client", "tracker/protocol"},
		libs: []string{syncLib},
	},
	"cli/doctor": {
		ours: []string{"mogile", "cli/frame", "cli/screen", "tracker/client", "tracker/protocol"},
		libs: []string{syncLib},
	},
	"cli/capacity": {ours: []string{"cli/frame", "cli/screen"}},
	"cli/sign":     {ours: []string{"cli/frame", "edge/signature"}},
	"cli/top":      {ours: []string{"mogile", "cli/frame", "cli/screen", "tracker/client"}},
	"cli/transfer": {ours: []string{"mogile", "tracker/client", "tracker/protocol"}},
	"cli/frame":    {ours: []string{"cli/screen", "tracker/client", "tracker/protocol"}},
	"cli/screen":   {libs: []string{"github.com/jedib0t/go-pretty/v6"}},

	"console": {
		ours: []string{
			"mogile", "tracker", "tracker/client", "tracker/job", "tracker/node", "tracker/protocol", "tracker/rebalance", "tracker/store",
		},
		libs:  []string{syncLib},
		tests: []string{"tests/installation"},
	},
	"console/fence": {},
	"console/live":  {ours: []string{"console"}},
	"console/page":  {},
	"console/dashboard": {
		ours:  []string{"mogile", "console/..."},
		tests: []string{"tests/installation"},
	},

	"caddymodule": {
		ours:  []string{"mogile", "tally", "cache", "edge/...", "tracker/...", "storage/...", "cli", "cli/doctor", "console/...", "caddymodule/..."},
		libs:  []string{everything},
		tests: []string{"tests/database", "tests/mount", "tests/process"},
	},
	"caddymodule/metrics": {
		ours: []string{"mogile", "tally", "cache", "edge/health", "storage", "tracker", "tracker/..."},
		libs: []string{zapLib, "github.com/prometheus/client_golang"},
	},
	"cmd/caddy": {
		ours: []string{".", "caddymodule"},
		libs: []string{caddyLib + "/cmd", caddyLib + "/modules/standard"},
	},
	"tests/...": {ours: []string{everything}, libs: []string{everything}},
}

// shutDoor is a door that stays shut, with its reason and what to do instead.
type shutDoor struct {
	from, to []string
	why      string
}

// shutDoors is asked in order; the first that fits words the breach.
var shutDoors = []shutDoor{
	{
		from: []string{everything}, to: []string{"tests/...", "tracker/store/storetest", "storage/disk/disktest"},
		why: "it is for tests only; move what both need into the room that owns the word",
	},
	{
		from: []string{everything}, to: []string{"caddymodule", ".", "cmd/..."},
		why: "caddymodule is the outermost room, only the root package, cmd and tests import it; " +
			"declare an interface for what you need and let caddymodule hand it in",
	},
	{
		from: []string{"mogile"}, to: []string{everything},
		why: "mogile is the vocabulary of all rooms and knows none of them; " +
			"move the code into the room that does the work",
	},
	{
		from: []string{"tracker/policy"}, to: []string{everything},
		why: "a policy gets facts and returns an answer; let the job look things up and put them into the facts",
	},
	{
		from: []string{"tracker/fsck", "tracker/rebalance"}, to: []string{everything},
		why: "it gets facts and returns what is to change; let command or job look things up and store the changes",
	},
	{
		from: []string{"tracker/protocol"}, to: []string{everything},
		why: "the protocol turns bytes into requests and back, knowing nobody; let command do the work",
	},
	{
		from: []string{"tracker/..."}, to: []string{"edge/...", "cache", "storage/..."},
		why: "tracker, storage and edge run alone too and never import each other; " +
			"declare a small interface where it is used and let caddymodule join them",
	},
	{
		from: []string{"tracker/...", "storage/...", "edge/...", "cache"}, to: []string{"console/..."},
		why: "the console asks all parts, and none of them needs it; " +
			"move what both need into the room that owns the word",
	},
	{
		from: []string{"tracker/...", "storage/...", "edge/...", "cache"}, to: []string{"cli/..."},
		why: "the command line talks to all parts over their protocols, and none of them needs it; " +
			"move what both need into the room that owns the word",
	},
	{
		from: []string{"storage/..."}, to: []string{"edge/...", "cache", "tracker/..."},
		why: "tracker, storage and edge run alone too and never import each other; " +
			"declare a small interface where it is used and let caddymodule join them",
	},
	{
		from: []string{"edge/..."}, to: []string{"tracker/...", "storage/..."},
		why: "tracker, storage and edge run alone too and never import each other; " +
			"declare a small interface where it is used and let caddymodule join them",
	},
	{
		from: []string{"tracker/..."}, to: []string{"tracker/store/sqlstore"},
		why: "a tracker works with the roles of tracker/store; let caddymodule open the database and hand it in",
	},
	{
		from: []string{everything}, to: []string{everything},
		why: "its row in tests/rooms/table.go does not list that; " +
			"pass the value in, or declare an interface where it is used",
	},
}
