package store

import (
	"context"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Store is everything a tracker keeps.
type Store interface {
	Files
	Copies
	Holdings
	Uploads
	Queue
	Work
	FsckLog
	Topology
	Settings
	Clock
	Locks
	// Close waits for what is under way and closes the database. Calling it
	// twice is harmless.
	Close() error
}

// File is one visible key.
type File struct {
	FID    mogile.FID
	Domain mogile.DomainID
	Key    mogile.Key
	Length int64
	Class  mogile.ClassID
	// DevCount is a cached number of copies; nothing may be decided by it
	// (docs/spec/schema.md §5.7).
	DevCount int
}

// Known is what the database knows of a visible file.
type Known struct {
	File
	// Devices hold the fid, ascending.
	Devices []mogile.DevID
	// Checksum is zero when there is none.
	Checksum mogile.Checksum
}

// Files is the namespace.
type Files interface {
	// FileByKey returns ErrNotFound when the key is not visible.
	FileByKey(ctx context.Context, dm mogile.DomainID, key mogile.Key) (File, error)
	// FileByFID returns ErrNotFound when no visible key has the fid.
	FileByFID(ctx context.Context, fid mogile.FID) (File, error)
	// Locate is FileByKey, Devices and Checksum in one look at the database: the
	// hot read. The checksum is zero when there is none. It alone may be stale, where
	// operators have named read replicas (docs/spec/schema.md §6): what CloseUpload,
	// Delete, Rename and SetClass of this store did shows at once, what others did
	// and what became of copies and checksums as late as it gets there. It is for
	// readers; nothing may be changed on its word.
	Locate(ctx context.Context, dm mogile.DomainID, key mogile.Key) (File, []mogile.DevID, mogile.Checksum, error)
	// Keys lists keys that begin with prefix and sort after the given one, in
	// the database's order, at most limit. None is not an error.
	Keys(ctx context.Context, dm mogile.DomainID, prefix, after mogile.Key, limit int) ([]mogile.Key, error)
	// FilesAfter lists visible files with a greater fid, ascending, at most
	// limit. None is not an error.
	FilesAfter(ctx context.Context, fid mogile.FID, limit int) ([]File, error)
	// MaxFID is the greatest fid of a visible file, 0 when there is none.
	MaxFID(ctx context.Context) (mogile.FID, error)
	// Delete makes the key invisible and queues its fid for deletion, in one
	// transaction. It returns the doomed fid, or ErrNotFound.
	Delete(ctx context.Context, dm mogile.DomainID, key mogile.Key) (mogile.FID, error)
	// Rename keeps the fid. ErrNotFound: from is not visible. ErrDup: another
	// file has the key to. Renaming a key to itself succeeds.
	Rename(ctx context.Context, dm mogile.DomainID, from, to mogile.Key) error
	// LoadFiles finds what is known of many fids in few statements; those that are no
	// visible file are missing. What it says of one fid is of one moment, no two fids
	// need be of the same.
	LoadFiles(ctx context.Context, fids ...mogile.FID) (map[mogile.FID]Known, error)
	// SetClass changes the class of a fid and queues its replication, in one
	// transaction; a row that is parked is due at once as if it were new, one that waits
	// or is claimed a second later, so that no claim looks like the one before. The same
	// class again changes nothing. ErrNotFound: no such file.
	SetClass(ctx context.Context, fid mogile.FID, class mogile.ClassID) error
}

// Copies is where the contents lie (table file_on) and what they hash to.
type Copies interface {
	// Devices lists the devices that hold the fid, ascending. None is not an
	// error, nor is a fid that is no visible file.
	Devices(ctx context.Context, fid mogile.FID) ([]mogile.DevID, error)
	// DevicesOf is Devices of many fids in few statements; those without a copy are
	// missing.
	DevicesOf(ctx context.Context, fids ...mogile.FID) (map[mogile.FID][]mogile.DevID, error)
	// AddCopy records that dev holds the fid, and recounts devcount. Recording
	// it twice is not an error. A fid that is no visible file is queued in DeleteQueue in
	// the same transaction: its file went while the copy was made.
	AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error
	// RemoveCopies forgets that devs hold the fid, and recounts devcount, in one
	// transaction. Forgetting a copy twice is not an error.
	RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error
	// Checksum returns ErrNotFound when none is recorded.
	Checksum(ctx context.Context, fid mogile.FID) (mogile.Checksum, error)
	// SetChecksum records or replaces it.
	SetChecksum(ctx context.Context, fid mogile.FID, sum mogile.Checksum) error
	// ForgetContent removes the checksum and tempfile rows of doomed fids, in one
	// transaction.
	ForgetContent(ctx context.Context, fids ...mogile.FID) error
}

// Page is a part of a list that is sorted by fid.
type Page struct {
	// After is the fid that the page begins behind; 0 is the beginning of the list,
	// from whichever end.
	After mogile.FID
	// Newest has the greatest fid come first.
	Newest bool
	Limit  int
}

// Holdings is what lies on a device.
type Holdings interface {
	// FilesOn lists visible files with a copy on dev. None is not an error.
	FilesOn(ctx context.Context, dev mogile.DevID, p Page) ([]File, error)
	// Reap forgets the copies of at most limit fids on dev, in one transaction: those
	// that are visible files are queued for replication, due in a second, and their
	// devcount is recounted; of the others, which are somebody else's work, the copy
	// goes all the same. It returns how many fids there were. Rows that are there
	// already are treated as by Enqueue.
	Reap(ctx context.Context, dev mogile.DevID, limit int) (int, error)
}

// Upload is an upload in progress: a row of the table tempfile.
type Upload struct {
	FID     mogile.FID
	Domain  mogile.DomainID
	Key     mogile.Key
	Class   mogile.ClassID
	Devices []mogile.DevID
	// Created is database unix time; the store sets it.
	Created int64
}

// Closing is what becomes of an upload when it succeeds.
type Closing struct {
	FID mogile.FID
	Dev mogile.DevID
	// Others are more devices that hold the content already; none of them twice.
	Others []mogile.DevID
	Domain mogile.DomainID
	Key    mogile.Key
	Class  mogile.ClassID
	Length int64
	// Checksum is recorded unless it is zero.
	Checksum mogile.Checksum
}

// Uploads turns uploads into files (docs/spec/tracker-protocol.md §6.1 and §6.2).
// Whoever removes the tempfile row wins: Close and Abandon of one upload exclude
// each other, also across trackers.
type Uploads interface {
	// OpenUpload registers an upload and returns its fid: u.FID when that is not
	// zero, else a new one that no file, copy or queue ever had. ErrDup: the
	// explicit fid is or was in use. u.Created is ignored.
	OpenUpload(ctx context.Context, u Upload) (mogile.FID, error)
	// Upload returns ErrNotFound when the fid is not being uploaded (any more).
	Upload(ctx context.Context, fid mogile.FID) (Upload, error)
	// CloseUpload makes the upload the content of c.Key, all in one transaction:
	// the tempfile row goes (ErrNotFound when somebody else had removed it), a
	// file that had the key is replaced and its fid queued for deletion, the
	// copies, the checksum and the file row come, replication is queued at once.
	// replaced is the fid that had the key, or 0. ErrDup: the fid is a visible
	// file already. ErrNoDomain: c.Domain is gone; the upload stays open. A class
	// that the domain does not have (any more) becomes its default class.
	CloseUpload(ctx context.Context, c Closing) (replaced mogile.FID, err error)
	// AbandonUpload gives an upload up, in one transaction: the tempfile row
	// goes (ErrNotFound when somebody else had removed it), and the copies on devs
	// are recorded and queued for deletion. A dev of 0 is no device.
	AbandonUpload(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error
	// SweepUploads abandons at most limit uploads opened longer ago than age:
	// every device that was offered is taken to hold a copy. It returns how many
	// rows it removed.
	SweepUploads(ctx context.Context, age time.Duration, limit int) (int, error)
}

// QueueName names a queue table.
type QueueName string

// The queues that jobs work from (docs/spec/schema.md §5). The first two are tables of
// their own. The others are the rows of one kind in the table file_to_queue, which
// EnqueueWork adds and Enqueue refuses; what is done to one of them leaves the other's
// row of the same fid alone.
const (
	ReplicateQueue QueueName = "file_to_replicate"
	DeleteQueue    QueueName = "file_to_delete2"
	FsckQueue      QueueName = "fsck"
	RebalanceQueue QueueName = "rebalance"
)

// Item is a claimed row of a queue.
type Item struct {
	FID       mogile.FID
	FailCount int
	// From is the preferred source of a replication, or the device that a rebalance
	// moves the file away from, or 0.
	From mogile.DevID
	// Arg is where a rebalance may move the file, as devids with commas between.
	Arg string
	// Until is when the claim runs out, in database unix time; 0 when the row was
	// not claimed.
	Until int64
}

// Queue is the work to be done. A row outlives every crash until Finish.
type Queue interface {
	// Enqueue adds fids, due after delay. A fid that is queued already keeps its row.
	// But who queues it again has seen that something has changed: a parked row is due
	// after delay, too, and any other is a second earlier, by which it is not his any more
	// who has claimed it.
	Enqueue(ctx context.Context, q QueueName, delay time.Duration, fids ...mogile.FID) error
	// Claim takes at most limit rows that are due, the longest due first, and
	// makes them due again after lease, should the caller never finish them. No
	// other caller gets them before. None is not an error.
	Claim(ctx context.Context, q QueueName, limit int, lease time.Duration) ([]Item, error)
	// Renew makes claims last lease from now on (0: the rows are due at once), and
	// returns those that still were the caller's, with their new Until, in any order. An
	// item whose row is gone, was queued anew or was claimed again is left out, and so
	// is one that was not claimed.
	Renew(ctx context.Context, q QueueName, lease time.Duration, items ...Item) ([]Item, error)
	// Finish removes the rows of items, but leaves a row that was queued anew
	// (SetClass) or claimed again since the item's claim. An item that was not claimed
	// loses its row whatever that says. Removing a row twice is not an error. When it
	// fails, some may be removed.
	Finish(ctx context.Context, q QueueName, items ...Item) error
	// FinishErased forgets copies whose bytes are gone, and the checksums and parked
	// rows of their fids in ReplicateQueue, and is Finish in DeleteQueue for the fids
	// that then have no copy left, all in one transaction. A row whose fid has another
	// copy, such as one that was made meanwhile, is due at once if it was claimed, and
	// stays as it is if it was queued anew.
	FinishErased(ctx context.Context, erased ...Erased) error
	// Postpone makes a row due after delay and sets its failcount (clamped to
	// what the column holds).
	Postpone(ctx context.Context, q QueueName, fid mogile.FID, delay time.Duration, failCount int) error
	// Park makes a row due never, until an operator releases it or it is queued
	// again, and sets its failcount.
	Park(ctx context.Context, q QueueName, fid mogile.FID, failCount int) error
	// Queued returns the row of a fid; ErrNotFound when there is none.
	Queued(ctx context.Context, q QueueName, fid mogile.FID) (QueueRow, error)
	// ReleaseAll makes all rows due at once that are not, parked and claimed ones
	// too, and returns how many. It works in portions: when it fails, some may have
	// been released.
	ReleaseAll(ctx context.Context, q QueueName) (int64, error)
	// NextDue says how long until a row becomes due that is not due yet (0 when
	// one is due now). ErrNotFound: no row ever becomes due.
	NextDue(ctx context.Context, q QueueName) (time.Duration, error)
	// Waiting counts the rows that wait, claimed ones too: all that are not parked,
	// in ReplicateQueue without what is new.
	Waiting(ctx context.Context, q QueueName) (int64, error)
	// DueWithin counts the rows that are due or will be within d, claimed ones too when
	// their claim runs out by then.
	DueWithin(ctx context.Context, q QueueName, d time.Duration) (int64, error)
	// Parked counts the rows that are due never.
	Parked(ctx context.Context, q QueueName) (int64, error)
}

// Erased is a claimed row of DeleteQueue, and copies of its fid whose bytes are gone.
type Erased struct {
	Item
	Devices []mogile.DevID
}

// QueueRow is a queue row as file_debug shows it.
type QueueRow struct {
	FID       mogile.FID
	NextTry   int64
	FailCount int
	// From is as in Item, Flags unused; in DeleteQueue there are none.
	From  mogile.DevID
	Flags int
}

// WorkKind tells apart the rows of the table file_to_queue (docs/spec/schema.md §1).
type WorkKind uint8

// What there is to be worked on.
const (
	FsckWork      WorkKind = 1
	RebalanceWork WorkKind = 2
)

// WorkRow is a row of the table file_to_queue. A fid has at most one of each kind.
type WorkRow struct {
	FID  mogile.FID
	Kind WorkKind
	// Dev is the device that a rebalance moves the file away from, Arg where it may
	// go, as devids with commas between; 0 and empty where they mean nothing.
	Dev mogile.DevID
	Arg string
	// Delay is how long a row that is added waits, in whole seconds. It is zero in what
	// was read.
	Delay time.Duration

	NextTry          int64
	FailCount, Flags int
}

// Work is the files to be checked and to be moved.
type Work interface {
	// EnqueueWork adds rows, due after their delays. A fid that is queued for the same kind
	// of work already keeps its row as it is. NextTry, FailCount and Flags are ignored.
	EnqueueWork(ctx context.Context, rows ...WorkRow) error
	// WorkRows lists the rows of a fid by kind. None is not an error.
	WorkRows(ctx context.Context, fid mogile.FID) ([]WorkRow, error)
	// WorkLength says how many rows of a kind there are, due or not.
	WorkLength(ctx context.Context, k WorkKind) (int64, error)
}

// FsckEvent is a row of the table fsck_log.
type FsckEvent struct {
	// LogID numbers the rows in the order they came; the store sets it.
	LogID int64
	// Time is database unix time; the store sets it.
	Time int64
	// FID and Dev are 0 when the event is about none.
	FID mogile.FID
	Dev mogile.DevID
	// Code has four letters: docs/spec/jobs.md §7.3.
	Code string
}

// FsckLog is what the checks of files have found.
type FsckLog interface {
	// LogFsck adds events in their order. LogID and Time are ignored.
	LogFsck(ctx context.Context, events ...FsckEvent) error
	// FsckEvents lists events with a greater number, ascending, at most limit. None
	// is not an error.
	FsckEvents(ctx context.Context, after int64, limit int) ([]FsckEvent, error)
	// LastFsckEvent is the greatest number, 0 when the log is empty.
	LastFsckEvent(ctx context.Context) (int64, error)
	// FoldFsckLog adds the events that were not counted yet to the settings
	// fsck_sum_evcount_<code>, in one transaction, so that each is counted once by
	// whichever tracker. It waits at most 10 s for another that does the same, and
	// returns ErrLocked then.
	FoldFsckLog(ctx context.Context) error
	// ClearFsckLog counts what was not counted and empties the log. The counters
	// stay. It works in portions: when it fails, the oldest events may be gone.
	// ErrLocked as with FoldFsckLog.
	ClearFsckLog(ctx context.Context) error
}

// Rows is the whole topology as the database has it.
type Rows struct {
	Domains  map[mogile.DomainID]mogile.DomainName
	Classes  []mogile.Class
	Hosts    []mogile.Host
	Devices  []mogile.Device
	Settings map[string]string
}

// Topology is hosts, devices, domains and classes
// (docs/spec/tracker-protocol.md §7). Numbers are assigned as the highest plus one.
type Topology interface {
	// LoadTopology reads all of it at one moment.
	LoadTopology(ctx context.Context) (Rows, error)
	// DomainByName, ClassByName and HostByName find a row by its name as the database
	// compares names: where it takes A for a, either finds the other. ErrNotFound. The
	// default class is found when it has a row.
	DomainByName(ctx context.Context, name mogile.DomainName) (mogile.DomainID, error)
	ClassByName(ctx context.Context, dm mogile.DomainID, name mogile.ClassName) (mogile.Class, error)
	HostByName(ctx context.Context, name mogile.HostName) (mogile.Host, error)

	// CreateDomain returns ErrDup when the name is taken.
	CreateDomain(ctx context.Context, name mogile.DomainName) (mogile.DomainID, error)
	// DeleteDomain removes the domain and its default class's row; ErrNotFound,
	// ErrHasFiles, ErrHasClasses. No upload is closed into a domain that is deleted
	// at the same moment, and no class created.
	DeleteDomain(ctx context.Context, name mogile.DomainName) error
	// CreateClass ignores c.ID and returns the new number: 0 for
	// mogile.DefaultClass. ErrDup when the name is taken, ErrNoDomain when there is no
	// such domain (any more).
	CreateClass(ctx context.Context, c mogile.Class) (mogile.ClassID, error)
	// UpdateClass stores c under c.Domain and c.ID; ErrNotFound.
	UpdateClass(ctx context.Context, c mogile.Class) error
	// DeleteClass returns ErrNotFound or ErrHasFiles. No upload is closed into a class
	// that is deleted at the same moment.
	DeleteClass(ctx context.Context, dm mogile.DomainID, id mogile.ClassID) error
	// CreateHost ignores h.ID and returns the new number. ErrDup when the name,
	// IP or AltIP is taken. Empty AltIP, AltMask and a zero GetPort are stored as
	// NULL, so that they never collide.
	CreateHost(ctx context.Context, h mogile.Host) (mogile.HostID, error)
	// UpdateHost stores h under h.ID; ErrNotFound, ErrDup.
	UpdateHost(ctx context.Context, h mogile.Host) error
	// DeleteHost returns ErrNotFound or ErrHasDevices.
	DeleteHost(ctx context.Context, id mogile.HostID) error
	// CreateDevice stores d but for its sizes; ErrDup when the devid is taken.
	CreateDevice(ctx context.Context, d mogile.Device) error
	// SetDeviceState and SetDeviceWeight return ErrNotFound.
	SetDeviceState(ctx context.Context, dev mogile.DevID, state mogile.DevState) error
	SetDeviceWeight(ctx context.Context, dev mogile.DevID, weight int) error
	// SetDeviceUsage stores MBTotal, MBUsed and AsOf of each.
	SetDeviceUsage(ctx context.Context, devs []mogile.Device) error
}

// Settings is the table server_settings (docs/spec/schema.md §6).
type Settings interface {
	// Setting returns ErrNotFound when it is unset.
	Setting(ctx context.Context, field string) (string, error)
	// SetSetting sets or replaces it.
	SetSetting(ctx context.Context, field, value string) error
	// UnsetSetting removes it; removing it twice is not an error.
	UnsetSetting(ctx context.Context, field string) error
	// AllSettings reads all of them at one moment.
	AllSettings(ctx context.Context) (map[string]string, error)
	// ChangeSettings makes several changes in one transaction. decide is handed all
	// settings as they are and says which to set and which to unset; no other
	// ChangeSettings comes between, on whichever tracker. decide must not ask the
	// store, and may be called more than once. An error of it is returned as it is,
	// and nothing has changed.
	ChangeSettings(ctx context.Context, decide func(now map[string]string) (SettingChanges, error)) error
}

// SettingChanges is settings to be set and to be unset, both or either may be nil.
type SettingChanges struct {
	Set   map[string]string
	Unset []string
}

// Clock is the clock that all trackers of a database go by.
type Clock interface {
	// Now is database unix time.
	Now(ctx context.Context) (int64, error)
}

// Locks exclude other goroutines, processes and trackers
// (docs/spec/schema.md §7.1).
type Locks interface {
	// Lock waits at most wait for the named lock (0: doesn't wait) and returns
	// ErrLocked when it did not get it. release gives it back; it must be called
	// exactly once, and works even when ctx is over.
	Lock(ctx context.Context, name string, wait time.Duration) (release func(), err error)
}
