// Package recordtest helps to test with and of recorders.
//
//	package main_test
//
//	import (
//		"testing"
//
//		"github.com/proxyglass/proxyglass/record"
//		"github.com/proxyglass/proxyglass/record/recordtest"
//	)
//
//	// A recorder of one's own shows that it keeps the contract of record.Recorder.
//	func TestMyRecorder(t *testing.T) {
//		recordtest.TestRecorder(t, recordtest.Suite{
//			Open: func(t *testing.T) record.Recorder { return record.Discard() },
//		})
//	}
//
//	// A test of a program that records waits for what it expects.
//	func TestTraffic(t *testing.T) {
//		var seen recordtest.Collector
//		go seen.Record(t.Context(), &record.Record{Host: "www.example.com:80"})
//		records, err := seen.Wait(t.Context(), 1)
//		if err != nil || records[0].Host != "www.example.com:80" {
//			t.Error(records, err)
//		}
//	}
//
// [Hang], [Stuck], [Fail] and [Panic] are recorders that misbehave, for tests of
// what stands before them.
//
// # What this package does not do
//
// It does not check that a sink stores anything durably, and it is not for
// production: a [Collector] keeps everything for ever.
package recordtest
