package screen

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	// quiet is how long nothing is drawn: what ends by then needs no progress.
	quiet = time.Second
	// redraw is how often it is drawn at most.
	redraw = 200 * time.Millisecond
)

// Progress is a line that says how far something is, how fast, and how long it takes yet.
// Its methods may be called by many goroutines; a nil Progress draws nothing.
type Progress struct {
	w       io.Writer
	columns func() int
	now     func() time.Time

	mu           sync.Mutex // guards what follows
	began, drawn time.Time
	shown        bool

	files, bytes           int64
	totalFiles, totalBytes int64
}

// NewProgress returns a Progress that draws on a terminal. columns may be nil.
func NewProgress(w io.Writer, columns func() int) *Progress {
	return newProgress(w, columns, time.Now)
}

func newProgress(w io.Writer, columns func() int, now func() time.Time) *Progress {
	return &Progress{w: w, columns: columns, now: now, began: now()}
}

// Expect adds to what there is to do.
func (p *Progress) Expect(files, bytes int64) {
	p.change(func() { p.totalFiles += files; p.totalBytes += bytes })
}

// Bytes adds to what is done.
func (p *Progress) Bytes(n int64) { p.change(func() { p.bytes += n }) }

// File says that one more is done.
func (p *Progress) File() { p.change(func() { p.files++ }) }

func (p *Progress) change(f func()) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	now := p.now()
	if now.Sub(p.began) < quiet || now.Sub(p.drawn) < redraw {
		return
	}
	p.drawn, p.shown = now, true
	fmt.Fprint(p.w, "\r"+p.line(now)+"\x1b[K")
}

// Around clears the line, has something else written, and lets the line come again.
func (p *Progress) Around(write func()) {
	if p == nil {
		write()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	write()
}

// End clears the line.
func (p *Progress) End() { p.Around(func() {}) }

func (p *Progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown, p.drawn = false, time.Time{}
	}
}

// line is such as: 120 of 1000 files, 1.2 GiB of 3.4 GiB, 45.0 MiB/s, 1m02s left.
func (p *Progress) line(now time.Time) string {
	var parts []string
	if p.totalFiles != 1 {
		parts = append(parts, of(fmt.Sprint(p.files), fmt.Sprint(p.totalFiles), p.totalFiles >= p.files && p.totalFiles > 0)+" files")
	}
	known := p.totalBytes >= p.bytes && p.totalBytes > 0
	elapsed := now.Sub(p.began).Seconds()
	if p.bytes == 0 && p.totalBytes == 0 { // files are counted, not moved
		parts = append(parts, fmt.Sprintf("%.0f/s", float64(p.files)/elapsed))
		return strings.Join(parts, ", ")
	}
	parts = append(parts, of(Bytes(p.bytes), Bytes(p.totalBytes), known))
	rate := float64(p.bytes) / elapsed
	parts = append(parts, Bytes(int64(rate))+"/s")
	if known && rate > 0 {
		left := float64(p.totalBytes-p.bytes) / rate
		parts = append(parts, Duration(time.Duration(left*float64(time.Second)))+" left")
	}
	text := strings.Join(parts, ", ")
	if p.columns != nil {
		if width := p.columns(); width > 1 && len(text) >= width {
			text = text[:width-1]
		}
	}
	return text
}

func of(done, total string, known bool) string {
	if !known {
		return done
	}
	return done + " of " + total
}
