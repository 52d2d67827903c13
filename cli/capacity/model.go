package capacity

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Needs is what an installation is to hold and to do.
type Needs struct {
	// Files is how many, Size their bytes on average, Copies how many of each, Key the
	// bytes of a key on average.
	Files, Size, Copies, Key float64
	// Checksums says that classes keep them.
	Checksums bool
	// Reads and Uploads are in a second, at the busiest time; Known is the share of
	// reads whose location an edge remembers, Cold that of reads that come to a disk, as
	// neither an edge nor a machine has the bytes in memory.
	Reads, Uploads, Known, Cold float64
	// Disk is the bytes of one, Network those that a machine sends in a second.
	Disk, Network float64
	// Disks is how many each machine has.
	Disks float64
}

// Defaults are what is assumed of what nobody says.
func Defaults() Needs {
	return Needs{Files: 1e9, Size: 30 << 10, Copies: 2, Key: 32, Reads: 5000, Uploads: 50, Known: 0.9, Cold: 0.3, Disk: 20e12, Network: 1.25e9, Disks: 12}
}

// Validate names the first number that can't be.
func (n Needs) Validate() error {
	for _, field := range []struct {
		name  string
		value float64
	}{{"files", n.Files}, {"size", n.Size}, {"copies", n.Copies}, {"key", n.Key}, {"disk", n.Disk}, {"network", n.Network}, {"disks", n.Disks}} {
		if field.value <= 0 || math.IsInf(field.value, 0) || math.IsNaN(field.value) {
			return fmt.Errorf("%s %v: want more than 0", field.name, field.value)
		}
	}
	if n.Reads < 0 || n.Uploads < 0 || n.Known < 0 || n.Known > 1 || n.Cold < 0 || n.Cold > 1 {
		return errors.New("reads and uploads can't be negative, and known and cold are shares from 0 to 1")
	}
	return nil
}

// Figures is what that takes.
type Figures struct {
	// Rows are those of the tables, Metadata the bytes of each kind of database.
	Rows     float64
	Metadata map[string]float64
	// Stored is the bytes of all copies, Disks how many it takes for them and for the
	// seeks, Machines how many hold those; PerDisk the copies on each, Full how full it is.
	Stored, Disks, Machines, PerDisk, Full float64
	// Locations is an edge's memory for a tenth of the files, AllLocations for all.
	Locations, AllLocations float64
	// Edge, Tracker are cores for reading and for looking up and uploading.
	Edge, Tracker float64
	// Statements and Syncs are those of the database in a second, when none is shared.
	Statements, Syncs float64
	// Seeks is how many each disk has to do in a second for reading and uploading, and
	// Busy the share of its time.
	Seeks, Busy float64
	// Traffic is the bytes that readers are sent in a second.
	Traffic float64
	// Repair is how long it takes to replace what a dead disk had, Limit what it waits
	// for, and Checked how long a check of all files takes on one core.
	Repair, Checked time.Duration
	Limit           string
}

// Of computes the figures. It does not look at what Validate does.
func Of(n Needs) Figures {
	f := Figures{Rows: n.Files * (1 + n.Copies), Metadata: map[string]float64{}}
	if n.Checksums {
		f.Rows += n.Files
	}
	for _, d := range databases {
		each := d.file + d.copy*n.Copies + d.keyByte*n.Key
		if n.Checksums {
			each += d.checksum
		}
		f.Metadata[d.name] = each * n.Files
	}
	f.Stored = n.Files * n.Size * n.Copies
	seeks := n.Reads*n.Cold*readSeeks + n.Uploads*(n.Copies*writeSeeks+(n.Copies-1)*readSeeks)
	f.Disks = math.Max(n.Copies, math.Ceil(math.Max(f.Stored/(n.Disk*fill), seeks/(diskSeeks*interest))))
	f.Machines = math.Max(math.Ceil(f.Disks/n.Disks), n.Copies)
	f.PerDisk, f.Full = n.Files*n.Copies/f.Disks, f.Stored/(f.Disks*n.Disk)
	f.Seeks = seeks / f.Disks
	f.Busy = f.Seeks / diskSeeks
	f.AllLocations = n.Files * (locationBytes + n.Key)
	f.Locations = hot * f.AllLocations
	f.load(n)
	f.repair(n)
	return f
}

// load is what reading and uploading take.
func (f *Figures) load(n Needs) {
	misses := n.Reads * (1 - n.Known)
	f.Edge = n.Reads * readCPU
	f.Tracker = misses*lookupCPU + n.Uploads*(uploadCPU+(n.Copies-1)*replicateCPU)
	f.Statements = misses*lookupStatements + n.Uploads*uploadStatements
	f.Syncs = n.Uploads * uploadSyncs
	f.Traffic = n.Reads * n.Size
}

// repair is how long a dead disk takes: as long as the slowest of those that have a part
// in it. All other disks give and take; the dead one's files are spread over them.
func (f *Figures) repair(n Needs) {
	files := f.PerDisk
	bytes := files * n.Size
	others := math.Max(f.Disks-1, 1)
	seeks := (readSeeks + writeSeeks) / float64(diskSeeks) // of two disks together
	limits := []struct {
		name    string
		seconds float64
	}{
		{"the reaper, as it is set by default", files / reaped},
		{"seeks of the disks", files * seeks / (others * interest)},
		{"the disks' rate", 2 * bytes / diskRate / (others * interest)},
		{"the network", bytes / (n.Network * math.Max(f.Machines-1, 1) * interest)},
		{"a core of trackers, nodes and database for each machine", files * replicateCPU / f.Machines},
	}
	most := limits[0]
	for _, l := range limits {
		if l.seconds > most.seconds {
			most = l
		}
	}
	f.Repair, f.Limit = seconds(most.seconds), most.name
	f.Checked = seconds(n.Files * fsckCPU)
}

// seconds is as many as a duration holds.
func seconds(s float64) time.Duration {
	if s > math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(s * float64(time.Second))
}
