"""Line-ups of ordinary runs that answer a question: studies, screens, folds, data experiments."""
