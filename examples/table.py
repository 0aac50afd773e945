"""Fit a model to a table: what `rung fit` does, from Python, as a scikit-learn estimator.

python examples/table.py
"""

from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

import rung

if __name__ == "__main__":
    table = pd.read_csv(Path(__file__).parent / "data" / "census.csv")
    x, y = table.drop(columns="income"), table["income"]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)

    model = rung.AutoClassifier(budget=30, random_state=0).fit(x_train, y_train)
    print(model.leaderboard_)
    print(f"accuracy on rows that it never saw: {model.score(x_test, y_test):.3f}")
    model.save("model.rung")  # rung.load("model.rung") gives it back
