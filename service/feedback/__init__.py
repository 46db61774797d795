"""What clinicians said of answers, as a training manifest with its clips: `seashore feedback export`."""
