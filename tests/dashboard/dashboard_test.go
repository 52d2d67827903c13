package dashboard

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var screenshots = flag.Bool("screenshots", false, "write docs/screenshots")

// hostile is a key that would do something if it were taken for HTML.
const hostile = `<script>document.title="owned"</script><img src=x onerror="window.owned=1">`

// promised is how soon the dashboard shows that a node is gone or back.
const promised = 5 * time.Second

func TestTheDashboardShowsANodeDieAndComeBack(t *testing.T) {
	s := newSite(t)
	node := s.addNode()
	b := newBrowser(t)
	b.do(scheme("light"), chromedp.EmulateViewport(1200, 900))
	b.open(s.page)
	row := `tr[data-key="3"] td:nth-child(3)`
	// The page itself notes when it changed, so that it does not count how slow we are.
	watch := fmt.Sprintf(`(() => { window.seen = {}; const cell = document.querySelector('%s');
		new MutationObserver(() => { window.seen[cell.textContent] ??= Date.now(); }).observe(cell, { childList: true, characterData: true, subtree: true }); })()`, row)
	b.do(run(watch))
	wantSoon := func(what string, since time.Time) {
		t.Helper()
		b.await(what+" device", fmt.Sprintf("window.seen[%q] !== undefined", what))
		at := time.UnixMilli(int64(eval[float64](b, fmt.Sprintf("window.seen[%q]", what))))
		t.Logf("%s after %v", what, at.Sub(since))
		if at.Sub(since) > promised {
			t.Errorf("%s after %v; want at most %v", what, at.Sub(since), promised)
		}
	}
	died := time.Now()
	node.Kill()
	wantSoon("unreachable", died)
	b.await("trouble", "document.querySelector('#health').dataset.health === 'critical'")
	b.await("problem with its remedy", shows("#problem-list", "Device 3 of host node2 can't be read"))
	b.shoot("desktop-light")
	node.Restart()
	back := time.Now()
	wantSoon("writeable", back)
	b.await("health", "document.querySelector('#health').dataset.health === 'ok'")
	b.await("problem that has passed", shows("#past-list", "Device 3 of host node2"))
	b.calm()
}

func TestTheDashboardIsUsedWithTheKeyboard(t *testing.T) {
	s := newSite(t)
	s.store("aqua.png", picture(t))
	s.store(hostile, []byte("text"))
	b := newBrowser(t)
	b.do(scheme("light"), chromedp.EmulateViewport(1200, 900))
	b.open(s.page)
	b.await("queues", shows("#queue-rows", "To be copied"))
	b.await("start of fsck", "!document.querySelector('#fsck-start').disabled")
	b.wantKeyboard()

	b.do(chromedp.Focus(chromedp.CSS("#fsck-start")), chromedp.KeyEvent("\r"))
	b.await("answer", shows("#toast", "Start of fsck: done."))
	b.await("end of the check", shows("#fsck-state", "2 files checked"))

	b.lookUp(hostile)
	b.await("file", "!document.querySelector('#file').hidden")
	if got := eval[string](b, "document.querySelector('#file-key').textContent"); got != hostile {
		t.Errorf("got the key %q; want %q", got, hostile)
	}
	b.await("verdict on the preview", shows("#preview-note", "No preview"))
	if got := eval[string](b, "String(window.owned) + document.title + document.querySelectorAll('#lookup script, #lookup img:not(#preview)').length"); got != "undefinedMogileFS0" {
		t.Errorf("got %q; want nothing of the key taken for HTML", got)
	}
	// That no preview can be had is an error of the network, which the console shows.
	b.forgive("415")

	b.lookUp("")
	b.await("keys", shows("#match-list", "owned"))
	if got := eval[string](b, "String(window.owned) + document.querySelectorAll('#match-list script, #match-list img').length"); got != "undefined0" {
		t.Errorf("the list of keys: got %q; want nothing of a key taken for HTML", got)
	}
	b.lookUp("aqua")
	b.await("the key that begins so", "document.querySelectorAll('#match-list button').length === 1")
	b.do(chromedp.Focus(chromedp.CSS("#match-list button")), chromedp.KeyEvent("\r"))
	b.await("preview", "!document.querySelector('#preview').hidden && document.querySelector('#preview').naturalWidth === 320")
	b.await("copies", "document.querySelectorAll('#copy-rows .seen-ok').length === 2")

	b.wantNames()
	b.wantContrast("light")
	b.do(run("document.activeElement.blur(); document.querySelector('#toast').hidden = true; document.querySelector('#lookup').scrollIntoView()"))
	b.shoot("file-light")

	b.do(scheme("dark"), chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)))
	b.wantContrast("dark")
	if got := eval[int](b, "document.documentElement.scrollWidth"); got > 390 {
		t.Errorf("on a phone: the page is %d pixels wide; want 390", got)
	}
	b.do(run("window.scrollTo(0, 0)"))
	b.shoot("phone-dark")
	b.calm()
}

func TestTheDashboardTakesOrders(t *testing.T) {
	s := newSite(t)
	b := newBrowser(t)
	b.open(s.page)
	b.await("chart", "document.querySelectorAll('#chart polyline').length === 4 && document.querySelector('#chart-title').textContent.includes('replicate 0')")

	const state = `document.querySelector('tr[data-key="1"] select')`
	choose := func(answer string) {
		t.Helper()
		b.do(run(state + ".focus(); " + state + ".value = 'readonly'; " + state + ".dispatchEvent(new Event('change'))"))
		b.await("question", "document.querySelector('#confirm').open && "+shows("#confirm-text", "from alive to readonly"))
		b.do(run(`document.querySelector('#confirm button[value="` + answer + `"]').click()`))
	}
	choose("no")
	b.await("state as it was", state+".value === 'alive' && !document.querySelector('#confirm').open")
	choose("yes")
	b.await("answer", shows("#toast", "Device 1 to readonly: done."))
	b.await("readonly device", state+".value === 'readonly' && "+state+".dataset.now === 'readonly'")

	policy := func(text string) {
		t.Helper()
		b.do(run("document.querySelector('#policy').value = "+quoted(text)), chromedp.Focus(chromedp.CSS("#policy")), chromedp.KeyEvent("\r"))
	}
	policy("nonsense=1")
	b.await("refusal", shows("#toast", "nonsense"))
	b.forgive("400")
	policy("from_percent_used=90")
	b.await("rebalance that can begin", "!document.querySelector('#rebalance-start').disabled")
	b.do(chromedp.Focus(chromedp.CSS("#rebalance-start")), chromedp.KeyEvent("\r"))
	b.await("answer", shows("#toast", "Start of the rebalance: done."))
	b.calm()
}
