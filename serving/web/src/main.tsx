import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { showTheme } from "./app/theme";
import "./app/theme.css";
import "./app/styles.css";
import "./review/review.css";

showTheme();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
