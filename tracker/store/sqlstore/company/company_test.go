package company

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errFinal = errors.New("final")
	errAny   = errors.New("any")
)

// party is a company whose guests are served when a test lets them.
type party struct {
	*Company[int, string]
	goOn chan struct{}
	err  error // what groups end with

	mu     sync.Mutex // guards both below
	groups []int      // sizes
	alone  int
}

func newParty(r Rules[int, string]) *party {
	p := &party{goOn: make(chan struct{})}
	r.Alone = func(_ context.Context, n int) (string, error) {
		p.mu.Lock()
		p.alone++
		p.mu.Unlock()
		<-p.goOn
		return fmt.Sprint("alone ", n), nil
	}
	r.Together = func(group []*Guest[int, string]) {
		p.mu.Lock()
		p.groups = append(p.groups, len(group))
		p.mu.Unlock()
		<-p.goOn
		for _, g := range group {
			g.Got, g.In = fmt.Sprint("together ", g.Asks), g.Asks >= 0
		}
		Settle(group, p.err, errors.Is(p.err, errFinal))
	}
	p.Company = New(r)
	return p
}

// seen is how many were served alone, and the sizes of groups.
func (p *party) seen() (alone int, groups []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alone, slices.Clone(p.groups)
}

// turnsTaken belongs to what is tested.
func (p *party) turnsTaken() int {
	p.Company.mu.Lock()
	defer p.Company.mu.Unlock()
	return p.taken
}

func TestWhoWaitsForATurnSharesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(Rules[int, string]{Turns: 2, Most: 8, Patient: true})
		answers := make([]string, 2+8+3)
		var waiting sync.WaitGroup
		for i := range answers {
			waiting.Go(func() { answers[i], _ = p.Ask(t.Context(), i) })
			synctest.Wait()
		}
		close(p.goOn)
		waiting.Wait()
		p.Close()
		for i, got := range answers {
			want := fmt.Sprint("together ", i)
			if i < 2 {
				want = fmt.Sprint("alone ", i)
			}
			if got != want {
				t.Errorf("caller %d: got %q; want %q", i, got, want)
			}
		}
		if _, groups := p.seen(); len(groups) != 2 || groups[0]+groups[1] != 8+3 {
			t.Errorf("got groups of %v; want 8 and 3", groups)
		}
	})
}

func TestAPaceHasMoreComeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pace = 5 * time.Millisecond
		p := newParty(Rules[int, string]{Turns: 1, Most: 3, Pace: pace, Patient: true})
		began := time.Now()
		var waiting sync.WaitGroup
		ask := func(n int, after time.Duration) {
			waiting.Go(func() {
				_, _ = p.Ask(t.Context(), n)
				if got := time.Since(began); got != after {
					t.Errorf("caller %d was served after %v; want %v", n, got, after)
				}
			})
			synctest.Wait()
		}
		ask(0, 0)
		for n := range 3 { // as many as there can be: they don't wait
			ask(1+n, 0)
		}
		close(p.goOn)
		synctest.Wait()
		<-time.After(pace / 2)
		ask(4, pace)
		ask(5, pace)
		<-time.After(3 * pace)
		ask(6, pace/2+3*pace) // nobody was there for long
		waiting.Wait()
		p.Close()
		if alone, groups := p.seen(); alone != 2 || !slices.Equal(groups, []int{3, 2}) {
			t.Errorf("got %d alone, groups of %v; want 2, groups of 3 and 2", alone, groups)
		}
	})
}

func TestOneWhoTakesLongHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(Rules[int, string]{Turns: 1, Most: 8, Patient: true})
		var waiting sync.WaitGroup
		for i := range 3 {
			waiting.Go(func() { _, _ = p.Ask(t.Context(), i) })
			synctest.Wait()
		}
		if alone, groups := p.seen(); alone != 1 || len(groups) != 0 {
			t.Errorf("at once: got %d alone, groups of %v; want 1 and none", alone, groups)
		}
		<-time.After(Patience)
		synctest.Wait()
		if _, groups := p.seen(); !slices.Equal(groups, []int{2}) {
			t.Errorf("after %v: got groups of %v; want one of 2", Patience, groups)
		}
		<-time.After(10 * Patience)
		close(p.goOn)
		waiting.Wait()
		p.Close()
		if p.turnsTaken() != 0 {
			t.Errorf("in the end: got %d turns taken; want 0", p.turnsTaken())
		}
	})
}

func TestATurnThatWasLateIsThereAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(Rules[int, string]{Turns: 1, Most: 8, Patient: true})
		for range 3 {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = p.Ask(t.Context(), 1)
			}()
			synctest.Wait()
			<-time.After(2 * Patience)
			synctest.Wait()
			if p.turnsTaken() != 0 {
				t.Errorf("while one is late: got %d turns taken; want 0", p.turnsTaken())
			}
			p.goOn <- struct{}{}
			<-done
			synctest.Wait()
			if p.turnsTaken() != 0 {
				t.Errorf("after one was late: got %d turns taken; want 0", p.turnsTaken())
			}
		}
		p.Close()
	})
}

func TestWhoLeavesWhileHeWaitsIsNotServed(t *testing.T) {
	for _, patient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := newParty(Rules[int, string]{Turns: 1, Most: 8, Patient: patient})
			ctx, cancel := context.WithCancel(t.Context())
			var waiting sync.WaitGroup
			errs := make([]error, 3)
			for i := range errs {
				waiting.Go(func() { _, errs[i] = p.Ask(ctx, i) })
				synctest.Wait()
			}
			cancel()
			synctest.Wait()
			close(p.goOn)
			waiting.Wait()
			if began := errs[0]; (began == nil) != patient {
				t.Errorf("patient %t, the one who was begun with: got %v", patient, began)
			}
			for _, err := range errs[1:] {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("who waited: got %v; want %v", err, context.Canceled)
				}
			}
			p.Close()
			if _, groups := p.seen(); len(groups) > 0 {
				t.Errorf("got groups of %v; want none", groups)
			}
		})
	}
}

func TestWhatBecomesOfAGroupThatFails(t *testing.T) {
	for _, tc := range []struct {
		err, want error
		got       string
	}{
		{nil, nil, "together "},
		{errAny, nil, "alone "},
		{fmt.Errorf("%w: lost", errFinal), errFinal, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newParty(Rules[int, string]{Turns: 1, Most: 8, Patient: true})
			p.err = tc.err
			var waiting sync.WaitGroup
			for i := range 4 {
				waiting.Go(func() {
					got, err := p.Ask(t.Context(), i)
					want := fmt.Sprint(tc.got, i)
					if tc.want != nil {
						want = ""
					}
					if i > 0 && (!errors.Is(err, tc.want) || tc.want == nil && got != want) {
						t.Errorf("group fails with %v: got %q, %v; want %q, %v", tc.err, got, err, want, tc.want)
					}
				})
				synctest.Wait()
			}
			apart := make(chan string, 1)
			go func() { // who is not taken in does it himself
				got, _ := p.Ask(t.Context(), -1)
				apart <- got
			}()
			synctest.Wait()
			close(p.goOn)
			waiting.Wait()
			if got := <-apart; got != "alone -1" {
				t.Errorf("group fails with %v, who was not taken in: got %q; want alone", tc.err, got)
			}
			p.Close()
		})
	}
}

func TestAClosedCompanyTurnsAwayWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty(Rules[int, string]{Turns: 1, Most: 8, Patient: true})
		var waiting sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			waiting.Go(func() { _, errs[i] = p.Ask(t.Context(), i) })
			synctest.Wait()
		}
		waiting.Go(p.Close)
		synctest.Wait()
		if errs[0] != nil || errs[1] != ErrClosed || errs[2] != ErrClosed {
			t.Errorf("while one is served: got %v; want %v for the others", errs, ErrClosed)
		}
		close(p.goOn)
		waiting.Wait()
		if errs[0] != nil {
			t.Errorf("who was served: got %v; want nil", errs[0])
		}
		if _, err := p.Ask(t.Context(), 4); err != ErrClosed {
			t.Errorf("after: got %v; want %v", err, ErrClosed)
		}
	})
}
