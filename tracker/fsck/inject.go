package fsck

import (
	"errors"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// The settings that bound the queue, and what holds without them
// (docs/spec/schema.md §6).
const (
	sizeField, defaultSize = "queue_size_for_fsck", 20_000
	rateField, defaultRate = "queue_rate_for_fsck", 1_000

	// maxRate bounds what one transaction queues, whatever the setting says.
	maxRate = 10_000
)

// Pace is how fast files are queued.
type Pace struct {
	// Size is how many may wait before no more are queued.
	Size int64
	// Rate is how many are queued at a time.
	Rate int
	// EverySecond: that is once a second; else as soon as there is room for as many. It is what
	// an operator says who sets the rate.
	EverySecond bool
}

// ReadPace reads the settings. What is no number above 0 counts as unset.
func ReadPace(setting func(field string) string) Pace {
	size, rate := number(setting(sizeField)), number(setting(rateField))
	p := Pace{Size: defaultSize, Rate: defaultRate, EverySecond: rate > 0}
	if size > 0 {
		p.Size = size
	}
	if rate > 0 {
		p.Rate = int(min(rate, maxRate))
	}
	return p
}

// ErrMoved: the run is not what it was taken for. Somebody took it over, or an operator
// stopped it or set it back.
var ErrMoved = errors.New("the run has moved")

// moved compares the settings with the run that a change was thought out for.
func moved(now map[string]string, was Run) error {
	if r := Read(now); r.Host != was.Host || r.Highest != was.Highest || r.End != was.End {
		return ErrMoved
	}
	return nil
}

// Advance says that so many files more are queued, up to a fid.
func Advance(now map[string]string, was Run, to mogile.FID, files int) (Changes, error) {
	queued := strconv.FormatInt(Read(now).Queued+int64(files), 10)
	return Changes{Set: map[string]string{highest: to.String(), fidsChecked: queued}}, moved(now, was)
}

// End says that all files are queued. The position is the end then, whether the last
// files are still there or not, so that the next [Start] knows that this run was
// complete.
func End(now map[string]string, was Run, at int64) (Changes, error) {
	c := Stop(at)
	c.Set[highest] = max(was.Highest, was.End).String()
	return c, moved(now, was)
}

// TakeOver makes host the one who queues files.
func TakeOver(now map[string]string, was Run, host string) (Changes, error) {
	return Changes{Set: map[string]string{HostField: host}}, moved(now, was)
}
