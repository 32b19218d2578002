package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name   string
		events string
		want   counts
		prints []string
		hides  []string
	}{
		{
			name: "a passed test is counted and its output hidden",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":1.26}`,
			want:   counts{Passed: 1},
			prints: []string{"ok  \tp\t1.3s\t1 passed, 0 failed\n"},
			hides:  []string{"noise", "PASS"},
		},
		{
			name: "a failed subtest is shown in full, and its parent fails with it",
			events: `{"Action":"output","Package":"p","Test":"TestA/b","Output":"    want 1\n"}
{"Action":"fail","Package":"p","Test":"TestA/b"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}`,
			want:   counts{Passed: 1, Failed: 2},
			prints: []string{"    want 1\n", "FAIL\tp\t0.0s\t1 passed, 2 failed\n"},
		},
		{
			name: "a skipped test says why",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"needs root\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			want:   counts{Skipped: 1},
			prints: []string{"needs root\n", "1 skipped"},
		},
		{
			name: "a package that does not build counts as one failure",
			events: `{"ImportPath":"p","Action":"build-output","Output":"undefined: x\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0}`,
			want:   counts{Failed: 1},
			prints: []string{"undefined: x\n", "[build failed]"},
		},
		{
			name: "a test that a panic ended is shown, and the package counts as one failure",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"about to\n"}
{"Action":"output","Package":"p","Output":"panic: oops\n"}
{"Action":"fail","Package":"p"}`,
			want:   counts{Failed: 1},
			prints: []string{"about to\n", "panic: oops\n"},
		},
		{
			name: "a package without tests is not mentioned",
			events: `{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}`,
			hides: []string{"p"},
		},
		{
			name:   "a line that is no event is passed on",
			events: `go: downloading x`,
			prints: []string{"go: downloading x"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			got, err := newReport(&out, false).read(strings.NewReader(c.events))
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("counted %v, want %v", got, c.want)
			}
			for _, text := range c.prints {
				if !strings.Contains(out.String(), text) {
					t.Errorf("the output lacks %q:\n%s", text, out.String())
				}
			}
			for _, text := range c.hides {
				if strings.Contains(out.String(), text) {
					t.Errorf("the output shows %q:\n%s", text, out.String())
				}
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts counts
		passes bool
	}{
		{"all passed", counts{Passed: 2}, true},
		{"some were skipped", counts{Passed: 2, Skipped: 1}, true},
		{"one failed", counts{Passed: 2, Failed: 1}, false},
		{"nothing ran", counts{}, false},
		{"all were skipped", counts{Skipped: 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.counts.verdict(); (err == nil) != c.passes {
				t.Errorf("verdict is %v", err)
			}
		})
	}
}

func TestSumAddsTheFilesThatExist(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "deep", "one.json"), filepath.Join(dir, "two.json")
	for file, c := range map[string]counts{one: {Passed: 3, Skipped: 1}, two: {Passed: 4, Failed: 2}} {
		if err := c.write(file); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := run([]string{"-sum", one, filepath.Join(dir, "absent.json"), two}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "7 passed, 2 failed, 1 skipped\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}
