package capacity

// database is what a file costs in the tables of a kind of database, in bytes, with the
// indexes. go run ./tests/bench -parts metadata -files 300000 measures it.
type database struct {
	name                          string
	file, copy, keyByte, checksum float64
}

var databases = []database{
	{name: "MariaDB", file: 109, copy: 115, keyByte: 2.33, checksum: 77},
	{name: "PostgreSQL", file: 107, copy: 102, keyByte: 2.48, checksum: 83},
	{name: "SQLite", file: 40, copy: 41, keyByte: 2.21, checksum: 43},
}

// The same measures what a location takes in an edge's memory: so much, and the key.
const locationBytes = 560

// Statements of one operation at a MariaDB when it is alone, which the same measures, and its
// commits, each of which is synced: one gives the fid, one makes the key visible. Many at a time
// share both.
const (
	lookupStatements = 1
	uploadStatements = 13.7
	uploadSyncs      = 2
)

// Processor time of single operations, in seconds; docs/performance.md has the tables.
const (
	readCPU      = 62e-6   // the edge, with a copy on its own disks, 30 KiB
	lookupCPU    = 61e-6   // tracker and database, get_paths noverify=1 in company
	uploadCPU    = 1031e-6 // tracker with its node, and database
	replicateCPU = 2046e-6 // tracker, nodes and database
	fsckCPU      = 405e-6  // the same
)

// What a spinning disk does, when nothing else is said. These are not measured here: they are
// what data sheets of 20 TB disks have.
const (
	diskRate  = 200e6 // bytes a second, in one piece
	diskSeeks = 120   // a second
)

// Seeks of one small file: reading opens a directory entry that is not in memory, and reads;
// a durable write adds the file, its entry and the journal.
const (
	readSeeks  = 2
	writeSeeks = 4
)

const (
	// fill is how full disks are planned to be: a fifth stays free for what a dead
	// machine had.
	fill = 0.8
	// reaped is how many files of a dead device are put into the queue in a second, unless
	// queue_rate_for_reaper says otherwise.
	reaped = 1000
	// interest is the share of a disk's time that readers and uploads may take, and that
	// copying may take beside them.
	interest = 0.5
	// hot is the share of files that locations are remembered of in the table.
	hot = 0.1
)
