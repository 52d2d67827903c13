package mogile

import (
	"fmt"
	"strconv"
)

// DevID numbers a device: one disk of one host, its directory is dev<DevID>.
// Chosen by the operator, never used twice. Zero is no device.
type DevID uint32

// maxDevID is the largest number the column device.devid holds
// (docs/spec/schema.md §1).
const maxDevID = 1<<24 - 1

// String is the plain decimal number, as on the wire.
func (d DevID) String() string { return strconv.FormatUint(uint64(d), 10) }

// ParseDevID reads a decimal devid from 1 to 16777215.
func ParseDevID(s string) (DevID, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > maxDevID || s[0] == '+' {
		return 0, fmt.Errorf("devid %q: want a number from 1 to %d", s, maxDevID)
	}
	return DevID(n), nil
}

// Device is a row of the table device.
type Device struct {
	ID    DevID
	Host  HostID
	State DevState
	// Weight is the read preference; 0 counts as 100.
	Weight int
	// MBTotal and MBUsed are MiB; MBTotal 0 means not known yet.
	MBTotal, MBUsed int64
	// AsOf is the unix time of the two sizes; 0 means never measured.
	AsOf int64
}

// MBFree is the free space in MiB; known is false until the device was measured.
func (d Device) MBFree() (mb int64, known bool) {
	return d.MBTotal - d.MBUsed, d.MBTotal > 0
}

// FreeShare is the free part of the device from 0 to 1; 0 when it is not known.
func (d Device) FreeShare() float64 {
	if d.MBTotal <= 0 {
		return 0
	}
	return 1 - float64(d.MBUsed)/float64(d.MBTotal)
}

// DevState is what the operator decided about a device. Ask it questions; don't
// compare it.
type DevState string

// The five states of docs/spec/tracker-protocol.md §5.4.
const (
	DevAlive    DevState = "alive"
	DevReadonly DevState = "readonly"
	DevDrain    DevState = "drain"
	DevDown     DevState = "down"
	DevDead     DevState = "dead"
)

type devRights struct {
	read, remove, newFiles, monitored, leaving, lost bool
}

var devStates = map[DevState]devRights{
	DevAlive:    {read: true, remove: true, newFiles: true, monitored: true},
	DevReadonly: {read: true, monitored: true},
	DevDrain:    {read: true, remove: true, monitored: true, leaving: true},
	DevDown:     {},
	DevDead:     {lost: true},
}

// ParseDevState reads one of the five states.
func ParseDevState(s string) (DevState, error) {
	if _, ok := devStates[DevState(s)]; !ok {
		return "", fmt.Errorf("device state %q: want alive, readonly, drain, down or dead", s)
	}
	return DevState(s), nil
}

// rights treats a state nobody knows as down, as the protocol demands.
func (s DevState) rights() devRights { return devStates[s] }

// Readable reports whether copies on the device may be read.
func (s DevState) Readable() bool { return s.rights().read }

// Deletable reports whether copies may be deleted from it.
func (s DevState) Deletable() bool { return s.rights().remove }

// TakesNewFiles reports whether new copies may be put on it.
func (s DevState) TakesNewFiles() bool { return s.rights().newFiles }

// Monitored reports whether the monitor looks at it.
func (s DevState) Monitored() bool { return s.rights().monitored }

// Draining reports whether its copies are being moved elsewhere: readers take
// others first.
func (s DevState) Draining() bool { return s.rights().leaving }

// Lost reports whether its copies count as gone: only dead devices are.
func (s DevState) Lost() bool { return s.rights().lost }

// CanBecome reports whether an operator may change s to next at once: a dead
// device must go through another state before it is alive again.
func (s DevState) CanBecome(next DevState) bool {
	return !s.Lost() || !next.TakesNewFiles()
}
