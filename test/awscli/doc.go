// Package awscli tests the simulated AWS with a client of somebody else: the AWS CLI drives
// the neap binary, and all it prints is compared with what is written down.
//
// What is written down are the sh blocks of docs/simulated-aws.md, so that its commands work
// as printed, and the transcripts in testdata. Each is run in one shell, from top to bottom;
// a text block right below an sh block is what that block prints. An ellipsis (…) in it
// stands for anything. Nothing waits for time to pass: transcripts let it stand still and
// jump ahead.
//
//	go test ./test/awscli                       compare
//	go test ./test/awscli -update               write what is printed into the documents; read the diff
package awscli
