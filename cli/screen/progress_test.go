package screen

import (
	"bytes"
	"testing"
	"time"
)

func TestProgressTellsRateAndRemainingTimeAfterASecond(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, func() int { return 200 }, func() time.Time { return now })
	p.Expect(4, 400<<20)
	p.Bytes(50 << 20)
	now = now.Add(999 * time.Millisecond)
	p.File()
	if out.Len() > 0 {
		t.Errorf("in the first second: got %q; want nothing", out.String())
	}
	now = now.Add(time.Second + time.Millisecond)
	p.Bytes(50 << 20)
	const want = "\r1 of 4 files, 100.0 MiB of 400.0 MiB, 50.0 MiB/s, 6s left\x1b[K"
	if out.String() != want {
		t.Errorf("got %q; want %q", out.String(), want)
	}
	out.Reset()
	p.Bytes(1) // not so soon
	p.End()
	if out.String() != "\r\x1b[K" {
		t.Errorf("at the end: got %q; want the line cleared", out.String())
	}
}

func TestProgressOfSomethingWithoutSizeTellsTheRate(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, func() int { return 30 }, func() time.Time { return now })
	now = now.Add(2 * time.Second)
	p.Bytes(3 << 10)
	if want := "\r0 files, 3.0 KiB, 1.5 KiB/s\x1b[K"; out.String() != want {
		t.Errorf("got %q; want %q", out.String(), want)
	}
	now = now.Add(time.Second)
	p.Expect(1000000, 1<<40)
	if got := out.String(); len(got) > 2*40 {
		t.Errorf("got %q; want it cut to the terminal", got)
	}
	(*Progress)(nil).Bytes(1) // draws nothing
}

func TestProgressOfWhatIsCountedTellsHowManyASecond(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, nil, func() time.Time { return now })
	p.File()
	now = now.Add(2 * time.Second)
	p.File()
	if want := "\r2 files, 1/s\x1b[K"; out.String() != want {
		t.Errorf("got %q; want %q", out.String(), want)
	}
}

func TestSizesAndDurationsAreForPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1023 << 10: "1.0 MiB", 5 << 40: "5.0 TiB", 1 << 62: "4096.0 PiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: got %s; want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 2*time.Minute: "3h02m", 50 * time.Hour: "2d02h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: got %s; want %s", d, got, want)
		}
	}
	if got := Bar(0.5, 4) + Bar(2, 2) + Bar(-1, 2); got != "██░░██░░" {
		t.Errorf("bars: got %s", got)
	}
}
